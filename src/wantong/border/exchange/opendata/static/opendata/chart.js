// Draws the chart of a dataset's page on a canvas. Its data stand in the page, and as a table beside it.
"use strict";
for (const figure of document.querySelectorAll("[data-chart]")) {
  const told = JSON.parse(figure.dataset.chart);
  const style = getComputedStyle(figure);
  const token = name => style.getPropertyValue(name).trim();
  const number = new Intl.NumberFormat(document.documentElement.lang);
  const short = new Intl.NumberFormat(document.documentElement.lang, { notation: "compact" });
  const ink = token("--wt-ink"), soft = token("--wt-ink-soft"), line = token("--wt-line");
  const text = { fontFamily: style.fontFamily, fontSize: 14, color: ink };
  const names = Object.keys(told.series);
  // colours and marks both tell the lines apart
  const marks = ["circle", "rect", "triangle", "diamond", "pin", "arrow"];
  const bars = told.kind === "bar";
  const across = { type: "category", data: told.x, axisLabel: { ...text, color: soft, hideOverlap: true }, axisLine: { lineStyle: { color: soft } } };
  const up = { type: "value", axisLabel: { ...text, color: soft, formatter: value => short.format(value) }, splitLine: { lineStyle: { color: line } } };
  if (bars) Object.assign(across, { inverse: true, axisLabel: { ...across.axisLabel, interval: 0, width: 110, overflow: "truncate" } });
  const chart = echarts.init(figure, null, { renderer: "canvas" });
  chart.setOption({
    animation: !matchMedia("(prefers-reduced-motion: reduce)").matches,
    color: ["#0b5c6b", "#b4532a", "#6a3d8a", "#2f7d4f", "#8e1c16", "#4c5c62"],
    textStyle: text,
    grid: { left: 8, right: 16, top: names.length > 1 ? 48 : 16, bottom: 8, containLabel: true },
    legend: names.length > 1 ? { top: 0, left: 0, type: "scroll", textStyle: text } : undefined,
    // drawn, not written into the page: the content policy allows no inline style
    tooltip: { trigger: "axis", renderMode: "richText", confine: true, valueFormatter: value => value == null ? "–" : number.format(value) },
    xAxis: bars ? up : across,
    yAxis: bars ? across : up,
    series: names.map((name, at) => ({
      name, type: told.kind, data: told.series[name], symbol: marks[at % marks.length], symbolSize: 6,
      showSymbol: told.x.length <= 40, connectNulls: false, lineStyle: { width: 2 }, barMaxWidth: 26,
    })),
  });
  new ResizeObserver(() => chart.resize()).observe(figure);
}
