// The contrast (WCAG 2.2) of each text and each bar with what is behind it; to be run in a page, returns what is too faint.

const channels = color => {
  const context = new OffscreenCanvas(1, 1).getContext("2d");
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data];
};
const luminance = color => {
  const linear = channels(color).slice(0, 3).map(it => it / 255).map(it => it <= 0.04045 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4);
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
};
const contrast = (a, b) => {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
};
const paper = element => {
  for (; element; element = element.parentElement) {
    const color = getComputedStyle(element).backgroundColor;
    if (channels(color)[3] === 255) return color;
  }
  return "white";
};
const isText = element => element.checkVisibility() && [...element.childNodes].some(it => it.nodeType === 3 && it.data.trim());

const texts = [...document.body.querySelectorAll("*")].filter(isText);
const faint = texts.filter(it => contrast(getComputedStyle(it).color, paper(it)) < 4.5);
const bars = [...document.querySelectorAll(".bar")];
faint.push(...bars.filter(it => contrast(getComputedStyle(it).backgroundColor, paper(it.parentElement)) < 3));
return { texts: texts.length, faint: faint.map(it => `${it.outerHTML}`.slice(0, 120)), paper: paper(document.body) };
