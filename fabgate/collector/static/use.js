// Draws sums as bars with uPlot, in the page's colours. The same numbers are below as a table.
"use strict";

(() => {
  const HEIGHT = 200;

  function color(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function draw(place) {
    const reading = document.getElementById(place.dataset.reading);
    const data = JSON.parse(document.getElementById(place.dataset.bars).textContent);
    const clock = (hours) => {
      const minutes = Math.round(hours * 60);
      return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}`;
    };
    const number = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 1 });
    const axis = { stroke: color("--soft"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false } };
    const options = {
      width: place.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      hooks: {
        setCursor: [(chart) => {
          const index = chart.cursor.idx;
          reading.textContent = index === null || index === undefined ? "" : `${data.labels[index]}: ${clock(data.hours[index])} ${data.unit}`;
        }],
      },
      scales: { x: { time: false, range: [-0.6, data.labels.length - 0.4] }, y: { range: (_chart, _low, high) => [0, Math.max(high * 1.1, 1)] } },
      series: [
        {},
        {
          fill: color("--accent"),
          stroke: color("--accent"),
          width: 0,
          points: { show: false },
          paths: uPlot.paths.bars({ size: [0.7, 48], radius: 0.15 }),
        },
      ],
      axes: [
        { ...axis, grid: { show: false }, size: 32, space: 56, incrs: [1, 2, 5, 7, 14, 30, 60, 120], values: (_chart, ticks) => ticks.map((tick) => data.labels[tick] ?? "") },
        { ...axis, size: 56, values: (_chart, ticks) => ticks.map((tick) => `${number.format(tick)} ${data.unit}`) },
      ],
    };
    place.replaceChildren();
    const chart = new uPlot(options, [data.labels.map((_label, index) => index), data.hours], place);
    // For the mouse; by keyboard, the table below has the same links.
    const link = () => data.links[chart.cursor.idx ?? -1];
    chart.over.addEventListener("mousemove", () => chart.over.style.setProperty("cursor", link() ? "pointer" : "default"));
    chart.over.addEventListener("click", () => link() && location.assign(link()));
    return chart;
  }

  for (const place of document.querySelectorAll("[data-bars]")) {
    let chart = draw(place);
    new ResizeObserver(() => {
      if (place.clientWidth && place.clientWidth !== chart.width) chart.setSize({ width: place.clientWidth, height: HEIGHT });
    }).observe(place);
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      chart.destroy();
      chart = draw(place);
    });
  }
})();
