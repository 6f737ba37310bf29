"use strict";
(() => {
  const said = document.getElementById("said");
  const say = (text) => { if (said.textContent !== text) said.textContent = text; };
  const shown = new Map();

  const put = ({ parts, figures, captions }) => {
    for (const [id, html] of Object.entries(parts)) {
      const part = document.getElementById(id);
      if (!part || shown.get(id) === html) continue;
      const closed = part.querySelector("details:not([open])"); // as the reader left it
      part.innerHTML = html; // escaped where it was made
      shown.set(id, html);
      if (closed) part.querySelector("details")?.removeAttribute("open");
    }
    for (const [id, figure] of Object.entries(figures)) {
      const chart = document.getElementById(id);
      if (!chart || !figure) continue;
      document.getElementById(chart.dataset.figure).textContent = JSON.stringify(figure);
      chart.style.height = `${figure.layout.height}px`;
      chart.setAttribute("aria-label", captions[id]);
      chart.parentElement.querySelector("figcaption").textContent = captions[id];
    }
    document.dispatchEvent(new Event("redraw"));
  };

  const source = new EventSource("events");
  source.addEventListener("news", (event) => {
    say("updated about every second");
    put(JSON.parse(event.data));
  });
  source.addEventListener("ended", async (event) => {
    source.close();
    const { report } = JSON.parse(event.data);
    say(`The run has ended. Its report is being made, and follows here; it is kept as ${report}`);
    try {
      const answer = await fetch(location.pathname, { method: "HEAD" });
      if (answer.ok) location.reload();
      else say(`The run has ended. Its report is ${report}`);
    } catch {
      say(`The run has ended. Its report did not come; if one was made, it is ${report}`);
    }
  });
  source.addEventListener("error", () => {
    say("No answer from the run: trying again. What is shown here is of before.");
  });
})();
