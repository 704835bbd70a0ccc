// What axe-core finds on the open page that is serious or critical: a list of faults.
axe.run(document, {resultTypes: ['violations']}).then(({violations}) => violations
  .filter(one => one.impact === 'serious' || one.impact === 'critical')
  .flatMap(one => one.nodes.map(node => `${one.id} (${one.impact}): ${node.target.join(' ')}: ${node.failureSummary}`)))
