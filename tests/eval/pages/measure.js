// What a reader would see of the plots: texts that overlap or leave their picture, and a page that is too wide.
addEventListener("load", () => {
  const found = {wide: document.documentElement.scrollWidth - innerWidth, plots: []};
  for (const svg of document.querySelectorAll("svg")) {
    const frame = svg.getBoundingClientRect();
    const boxes = [...svg.querySelectorAll("text")]
      .map(text => [text.textContent.trim(), text.getBoundingClientRect()])
      .filter(([text]) => text);
    const over = [];
    boxes.forEach(([a, p], i) => boxes.slice(i + 1).forEach(([b, q]) => {
      const x = Math.min(p.right, q.right) - Math.max(p.left, q.left);
      const y = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
      if (x > 1 && y > 2) over.push(`${a} / ${b}`);
    }));
    const out = boxes.filter(([, p]) => p.left < frame.left - 1 || p.right > frame.right + 1
      || p.top < frame.top - 1 || p.bottom > frame.bottom + 1).map(([text]) => text);
    const texts = boxes.map(([text]) => text);
    found.plots.push({label: svg.getAttribute("aria-label"), texts, over, out});
  }
  document.body.innerHTML = "<pre id=found></pre>";
  document.getElementById("found").textContent = JSON.stringify(found);
});
