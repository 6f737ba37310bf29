"use strict";
(async () => { // each chart as an SVG, its text left in the page for whoever dumps it
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  for (const still of document.querySelectorAll("pre[data-figure]")) {
    const { data, layout } = read(still.dataset.figure);
    const size = { width: Number(still.dataset.width), height: layout.height };
    layout.paper_bgcolor = layout.plot_bgcolor = still.dataset.paper;
    still.textContent = await Plotly.toImage({ data, layout }, {
      format: "svg", imageDataOnly: true, ...size,
    });
  }
  document.documentElement.dataset.drawn = "yes";
})();
