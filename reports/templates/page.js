"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const darkOf = new Map(Object.entries(read("dark-colours")));
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const coarse = matchMedia("(pointer: coarse)").matches;
  const hidden = new Set();
  let printing = false;

  const mapped = (value, change) => {
    if (typeof value === "string") return change.get(value) ?? value;
    if (Array.isArray(value)) return value.map((item) => mapped(item, change));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, mapped(v, change)]));
  };

  const small = (trace) => { // on a narrow screen the marks must not hide the lines
    if (typeof trace.marker?.size === "number" && trace.legendgroup) {
      trace.marker.size *= 0.6;
      trace.marker.line.width *= 0.7;
    }
  };

  const draw = (chart) => {
    const change = scheme.matches && !printing ? darkOf : new Map();
    const { data, layout } = mapped(read(chart.dataset.figure), change);
    for (const trace of data) trace.visible = !hidden.has(trace.legendgroup);
    if (chart.clientWidth < 560) data.forEach(small);
    if (coarse) layout.dragmode = false; // a finger scrolls the page; the buttons zoom
    if (chart.layout) layout.xaxis.range = chart.layout.xaxis.range; // keep the reader's zoom
    if (printing) layout.width = 680;
    else layout.autosize = true;
    return Plotly.react(chart, data, layout, {
      responsive: true,
      displaylogo: false,
      showSendToCloud: false, // plotly would offer to upload the chart
      plotlyServerURL: "",
      modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
      toImageButtonOptions: { filename: chart.id },
    });
  };

  const charts = [...document.querySelectorAll(".chart[data-figure]")];
  const same = (a, b) => a.every((value, i) => Math.abs(value - b[i]) < 1e-9);

  const show = (clock, range) => { // charts of one clock zoom and pan in step
    for (const chart of charts) {
      if (chart.dataset.clock !== clock || same(chart.layout.xaxis.range, range)) continue;
      Plotly.relayout(chart, { "xaxis.range": [...range] });
    }
  };
  const followed = (chart) => chart.on("plotly_relayout", () => {
    show(chart.dataset.clock, chart.layout.xaxis.range);
  });
  const drawAll = () => Promise.all(charts.map(draw));

  for (const box of document.querySelectorAll("input[data-series]")) {
    box.addEventListener("change", () => {
      if (box.checked) hidden.delete(box.dataset.series);
      else hidden.add(box.dataset.series);
      for (const chart of charts) {
        if (!chart.data.some((trace) => trace.legendgroup === box.dataset.series)) continue;
        const visible = chart.data.map((trace) => !hidden.has(trace.legendgroup));
        Plotly.restyle(chart, { visible });
      }
    });
  }
  const buttons = [...document.querySelectorAll("button[data-start]")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      show(button.dataset.clock, [Number(button.dataset.start), Number(button.dataset.end)]);
    });
  }
  for (const picker of document.querySelectorAll("select[data-shows]")) {
    const among = [...document.getElementById(picker.dataset.shows).children];
    const pick = () => among.forEach((item) => { item.hidden = item.id !== picker.value; });
    picker.addEventListener("change", pick);
    pick();
  }
  scheme.addEventListener("change", drawAll);
  addEventListener("beforeprint", () => { printing = true; drawAll(); });
  addEventListener("afterprint", () => {
    printing = false;
    drawAll().then(() => charts.forEach((chart) => Plotly.Plots.resize(chart)));
  });
  drawAll().then(() => {
    charts.filter((chart) => chart.dataset.clock).forEach(followed);
    document.documentElement.dataset.drawn = "yes";
  });
})();
