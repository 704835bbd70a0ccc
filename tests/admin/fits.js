// What keeps a page from being used by a thumb, in the dark, or by eyes that see little: a list of faults.
(() => {
  const wrong = [];
  const name = e => `${e.tagName.toLowerCase()}.${e.className} "${(e.textContent || e.name || '').trim().slice(0, 40)}"`;
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) {
    wrong.push(`scrolls sideways: ${root.scrollWidth} in ${root.clientWidth}`);
    for (const e of document.querySelectorAll('main *')) if (e.getBoundingClientRect().right > root.clientWidth + 1) { wrong.push(`too wide: ${name(e)}`); break; }
  }
  if (root.clientWidth < 600) {
    for (const e of document.querySelectorAll('a, button, input, select, summary, textarea')) {
      // Links within a sentence are as high as its line.
      if (e.matches('.skip, [type=hidden], [type=checkbox]') || e.closest('.words, dd') || e.parentElement.matches('p:not(.links, .more)')) continue;
      if (!e.checkVisibility()) continue;
      const box = e.getBoundingClientRect();
      if (box.width && (box.height < 43.5 || box.width < 43.5)) wrong.push(`small: ${name(e)} ${box.width.toFixed()}x${box.height.toFixed()}`);
    }
  }
  const colour = text => {
    const parts = text.match(/-?[\d.]+/g).map(Number);
    const [r, g, b, a = 1] = text.startsWith('color(') ? [parts[0] * 255, parts[1] * 255, parts[2] * 255, parts[3]] : parts;
    return {r, g, b, a};
  };
  const light = c => {
    const [r, g, b] = [c.r, c.g, c.b].map(v => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; });
    return .2126 * r + .7152 * g + .0722 * b;
  };
  const behind = e => {
    for (; e; e = e.parentElement) { const c = colour(getComputedStyle(e).backgroundColor); if (c.a === 1) return c; }
    return {r: 255, g: 255, b: 255};
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || seen.has(e) || !e.getClientRects().length || e.closest('svg, script')) continue;
    seen.add(e);
    const [a, b] = [light(colour(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
    const ratio = (a + .05) / (b + .05);
    if (ratio < 4.5) wrong.push(`contrast ${ratio.toFixed(2)}: ${name(e)}`);
  }
  for (const e of document.querySelectorAll('input:not([type=hidden]), select, textarea')) {
    if (!e.labels || !e.labels.length) wrong.push(`no label: ${name(e)}`);
  }
  if (document.querySelectorAll('h1').length !== 1) wrong.push('not one h1');
  const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
  for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) wrong.push(`twice: #${id}`);
  return wrong;
})()
