// What a reader would see: a page or a table that is too wide, plots whose texts overlap, leave
// their picture, or are too small.
const found = { wide: document.documentElement.scrollWidth - innerWidth, plots: [], tables: [] };
for (const table of document.querySelectorAll("table.records")) {
  const frame = table.parentElement.getBoundingClientRect();
  if (table.getBoundingClientRect().right > frame.right + 1) found.tables.push(table.textContent.slice(0, 60));
}
for (const svg of document.querySelectorAll(".plots svg")) {
  const frame = svg.getBoundingClientRect();
  const boxes = [...svg.querySelectorAll("text")]
    .map((text) => [text.textContent.trim(), text.getBoundingClientRect()])
    .filter(([text]) => text);
  const over = [];
  boxes.forEach(([a, p], i) => boxes.slice(i + 1).forEach(([b, q]) => {
    const x = Math.min(p.right, q.right) - Math.max(p.left, q.left);
    const y = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
    if (x > 1 && y > 2) over.push(`${a} / ${b}`);
  }));
  const out = boxes.filter(([, p]) => p.left < frame.left - 1 || p.right > frame.right + 1
    || p.top < frame.top - 1 || p.bottom > frame.bottom + 1).map(([text]) => text);
  const smallest = Math.min(...boxes.map(([, p]) => Math.min(p.width + 6, p.height)));
  found.plots.push({ label: svg.getAttribute("aria-label"), over, out, smallest });
}
return JSON.stringify(found);
