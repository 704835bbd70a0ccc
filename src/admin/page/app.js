// Keeps an open page up to date: looks again when the server says that something moved, and puts in what changed. The page
// reads as well without it. It makes no element of its own: what it puts in was rendered, and escaped, by the server.
'use strict';
(() => {
  // A search that found nothing yet goes on by itself.
  const further = document.querySelector('a[data-further]');
  if (further) { location.replace(further.href); return; }
  for (const button of document.querySelectorAll('[data-copy]')) {
    if (!navigator.clipboard) break;
    button.hidden = false;
    button.addEventListener('click', async () => {
      try { await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent); } catch (_) { return; }
      button.textContent = 'Copied';
    });
  }
  if (!document.querySelector('[data-live]')) return;

  const isTyping = region => {
    const active = document.activeElement;
    if (active && region.contains(active) && active.matches('input, textarea, select')) return true;
    return [...region.querySelectorAll('input, textarea')].some(field => field.value !== field.defaultValue);
  };
  const put = (region, next) => {
    const open = [...region.querySelectorAll('details[id]')].map(one => [one.id, one.open]);
    const active = document.activeElement;
    const href = region.contains(active) && active.getAttribute('href');
    region.replaceWith(document.adoptNode(next));
    for (const [id, was] of open) { const one = document.getElementById(id); if (one) one.open = was; }
    if (href) for (const link of next.querySelectorAll('a')) if (link.getAttribute('href') === href) { link.focus({preventScroll: true}); break; }
  };
  // What is under a finger stays until the finger has left it, or the tap would be lost.
  let isPressed = false;
  document.addEventListener('pointerdown', () => { isPressed = true; }, true);
  for (const end of ['pointerup', 'pointercancel']) document.addEventListener(end, () => setTimeout(() => { isPressed = false; }), true);
  let isLooking = false, isDue = false;
  const look = async () => {
    if (isLooking) { isDue = true; return; }
    isLooking = true;
    try {
      const answer = await fetch(location.href, {headers: {accept: 'text/html'}});
      if (!answer.ok || answer.redirected) return;
      if (isPressed) { isDue = true; return; }
      const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
      for (const region of document.querySelectorAll('[data-live]')) {
        const next = fresh.getElementById(region.id);
        if (next && next.innerHTML !== region.innerHTML && !isTyping(region)) put(region, next);
      }
      document.title = fresh.title;
    } catch (_) {
      // The next move is told anew.
    } finally {
      isLooking = false;
      if (isDue) { isDue = false; setTimeout(look, 1000); }
    }
  };
  let source = null;
  const attend = () => {
    if (document.hidden) { if (source) source.close(); source = null; return; }
    if (source) return;
    source = new EventSource('/api/v1/stream');
    source.addEventListener('moved', look);
    const sign = isOn => { const live = document.getElementById('live'); if (live) live.hidden = !isOn; };
    source.onopen = () => sign(true);
    source.onerror = () => {
      sign(false);
      // Refused, it does not come again by itself.
      if (source && source.readyState === EventSource.CLOSED) { source = null; setTimeout(attend, 5000); }
    };
  };
  document.addEventListener('visibilitychange', attend);
  attend();
})();
