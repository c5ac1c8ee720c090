// Figures that move: a picture for each value of a slider, made of lines that all share (docs/_extensions/frames.py).
"use strict";

{
  const WAIT = 450;  // milliseconds from one picture to the next where all are played
  const playing = new Map();  // boxes and the timers that move their sliders

  Run.move = async (box, { type, target }) => {
    await Run.load(`frames/${box.dataset.frames}`);
    const range = box.querySelector("input"), button = box.querySelector("button");
    if (button && type == "click" && target == button) play(box, range, button);
    else if (type == "input" && playing.has(box)) stop(box, button);  // the reader moves it: stepUp is no input
    show(box, range);
  };

  function show(box, range) {
    const { start, said, shown, base, lines, frames } = Run.frames[range.id.replace("move-", "")];
    const image = box.parentElement.querySelector("img"), number = range.valueAsNumber;
    range.setAttribute("aria-valuetext", said[number]);
    box.querySelector("output span").innerHTML = shown[number];
    if (number == (image.dataset.frame ?? start)) return;
    image.dataset.own ??= image.getAttribute("src");
    image.dataset.alt ??= image.alt;
    image.dataset.frame = number;
    const made = lines.slice(0, base);
    for (const [at, count, ...others] of frames[number]) made.splice(at, count, ...others.map(other => lines[other]));
    image.src = number == start ? image.dataset.own : `data:image/svg+xml,${encodeURIComponent(made.join(""))}`;
    image.alt = number == start ? image.dataset.alt : `${said[number]}. Before it was moved: ${image.dataset.alt}`;
    box.classList.toggle("moved", number != start);
    for (const now of box.parentElement.querySelectorAll("figcaption .now")) now.textContent = said[number].split(":")[0];
  }

  // From the first value to the last, once; a second press stops, and so does moving the slider.
  function play(box, range, button) {
    if (playing.has(box)) return stop(box, button);
    range.value = range.min;
    box.querySelector("output").ariaLive = "off";
    button.textContent = "Stop";
    playing.set(box, setInterval(() => {
      range.stepUp();
      if (range.value == range.max) {
        box.querySelector("output").ariaLive = "polite";  // where it ends is said, what is on the way would be too much
        stop(box, button);
      }
      show(box, range);
    }, WAIT));
  }

  function stop(box, button) {
    clearInterval(playing.get(box));
    playing.delete(box);
    button.textContent = "Play";
  }
}
