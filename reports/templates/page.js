"use strict";
(() => {
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  const darkOf = new Map(Object.entries(read("dark-colours")));
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  const coarse = matchMedia("(pointer: coarse)").matches;
  const hidden = new Set();
  const ranges = new Map(); // what each clock shows, once somebody has zoomed
  const PRINTED_PX = 680;
  const TITLE_CHARACTER_PX = 7;
  const TITLE_LINE_PX = 17;
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

  const wrapped = (text, most) => { // the lines of a panel's title
    const lines = [""];
    for (const word of text.split(" ")) {
      const line = lines[lines.length - 1];
      if (line && line.length + word.length >= most) lines.push(word);
      else lines[lines.length - 1] = line ? `${line} ${word}` : word;
    }
    return lines.join("<br>");
  };

  const taller = (chart, layout, lines) => { // room for a title of several lines
    layout.margin.t += lines * TITLE_LINE_PX;
    layout.height += lines * TITLE_LINE_PX;
    for (const note of layout.annotations) { // the events' numbers stand above the title
      if (note.yref === "paper" && note.y === 1 && note.x !== 0) note.yshift += lines * TITLE_LINE_PX;
    }
    chart.style.height = `${layout.height}px`;
  };

  const draw = (chart) => {
    const change = scheme.matches && !printing ? darkOf : new Map();
    const { data, layout } = mapped(read(chart.dataset.figure), change);
    for (const trace of data) trace.visible = !hidden.has(trace.legendgroup);
    const width = printing ? PRINTED_PX : chart.clientWidth;
    if (width < 560) data.forEach(small);
    for (const note of layout.annotations ?? []) {
      if (note.xref === "paper" && note.x === 0) {
        note.text = wrapped(note.text, (width - 70) / TITLE_CHARACTER_PX);
        note.align = "left";
        if (note.y > 0.999) taller(chart, layout, note.text.split("<br>").length - 1);
      }
    }
    if (coarse) layout.dragmode = false; // a finger scrolls the page; the buttons zoom
    const given = layout.xaxis.range ?? []; // of categories there is none
    const follows = chart.given?.some((range) => same(range, chart.layout.xaxis.range ?? []));
    const zoomed = follows ? null : chart.layout?.xaxis.range ?? ranges.get(chart.dataset.clock);
    if (zoomed) layout.xaxis.range = [...zoomed]; // keep the reader's zoom
    chart.given = [chart.given?.[0] ?? [...given], [...given]]; // plotly goes back to the first
    if (printing) layout.width = PRINTED_PX;
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

  const same = (a, b) => a.every((value, i) => Math.abs(value - b[i]) < 1e-9);
  const charts = [...document.querySelectorAll(".chart[data-figure]")];

  const show = (clock, range) => { // charts of one clock zoom and pan in step
    ranges.set(clock, [...range]);
    for (const chart of charts) {
      if (!chart.layout) continue; // not drawn yet
      if (chart.dataset.clock !== clock || same(chart.layout.xaxis.range, range)) continue;
      Plotly.relayout(chart, { "xaxis.range": [...range] });
    }
  };
  const followed = (chart) => chart.on("plotly_relayout", (change) => {
    if (!Object.keys(change).some((key) => key.startsWith("xaxis."))) return; // another width
    show(chart.dataset.clock, chart.layout.xaxis.range);
  });
  const drawAll = () => Promise.all(charts.map(draw));

  document.addEventListener("change", ({ target: box }) => {
    if (!box.matches("input[data-series]")) return;
    if (box.checked) hidden.delete(box.dataset.series);
    else hidden.add(box.dataset.series);
    for (const chart of charts) {
      if (!chart.data?.some((trace) => trace.legendgroup === box.dataset.series)) continue;
      const visible = chart.data.map((trace) => !hidden.has(trace.legendgroup));
      Plotly.restyle(chart, { visible });
    }
  });
  document.addEventListener("redraw", () => { // the figures, or the legend, are others now
    for (const box of document.querySelectorAll("input[data-series]")) {
      box.checked = !hidden.has(box.dataset.series);
    }
    drawAll();
  });
  const count = (value) => value.toLocaleString(
    "en", value < 10 ? { maximumSignificantDigits: 2 } : { maximumFractionDigits: 0 });

  for (const form of document.querySelectorAll("[data-choices]")) {
    const choices = read(form.dataset.choices);
    const [slider, rate] = form.querySelectorAll("input");
    const own = choices.find((choice) => choice.own);
    const choose = () => {
      const chosen = choices[Number(slider.value)];
      for (const choice of choices) {
        if (choice === chosen) hidden.delete(choice.key);
        else hidden.add(choice.key);
      }
      slider.setAttribute("aria-valuetext", `tcpfin ${chosen.label}`);
      const mark = chosen.own ? " (in force)" : "";
      const peak = `With tcpfin = ${chosen.label}${mark} InActConn peaks at ${count(chosen.peak)}`;
      const was = chosen.own ? "" : `, not ${count(own.peak)}`;
      const settles = rate.value === "" || !(Number(rate.value) >= 0) ? "" :
        `; at ${rate.value} connections/s it settles at about ` +
        `${count(Number(rate.value) * chosen.inactive_s)}`;
      form.querySelector("output").value = `${peak}${was}${settles}.`;
    };
    const redraw = () => {
      choose();
      const chart = document.getElementById(form.dataset.chart);
      const visible = chart.data?.map((trace) => !hidden.has(trace.legendgroup));
      if (visible) Plotly.restyle(chart, { visible });
    };
    slider.addEventListener("input", redraw);
    rate.addEventListener("input", choose);
    choose();
  }
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.addEventListener("click", async () => {
      const text = document.getElementById(button.dataset.copy).textContent;
      const said = button.parentElement.querySelector("[role=status]");
      try {
        await navigator.clipboard.writeText(text);
        said.textContent = "copied";
      } catch { // no permission, or no secure context: select it for the reader instead
        const area = document.createElement("textarea");
        area.value = text;
        document.body.append(area);
        area.select();
        said.textContent = document.execCommand("copy") ? "copied" : "not copied";
        area.remove();
      }
    });
  }
  const buttons = [...document.querySelectorAll("button[data-start]")];
  for (const button of buttons) {
    button.addEventListener("click", () => {
      for (const other of buttons) {
        if (other.dataset.clock !== button.dataset.clock) continue;
        other.setAttribute("aria-pressed", String(other === button));
      }
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
  const drawEach = async () => { // one by one, so that the page can be used meanwhile
    for (const chart of charts) {
      await draw(chart);
      if (chart.dataset.clock) followed(chart);
      document.documentElement.dataset.opened = "yes";
      await new Promise((done) => setTimeout(done));
    }
    document.documentElement.dataset.drawn = "yes";
  };
  drawEach();
})();
