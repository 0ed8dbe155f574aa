"use strict";

// Paper shows every picture, seen before or not.
window.addEventListener("beforeprint", () => { for (const image of document.images) image.loading = "eager"; });

// The gallery: one viewer for a list of test images. Without this script the list alone shows images and truth.
(() => {
  const section = document.getElementById("gallery");
  if (!section) return;

  const find = (selector) => section.querySelector(selector);
  const stage = find(".stage");
  const sheet = find(".sheet");
  const photo = find(".stage .photo");
  const overlay = find(".stage .overlay");
  const list = find(".shots");
  const order = find("[name=order]");
  const radios = [...section.querySelectorAll("[name=layer]")];
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

  const shots = [...list.children].map((item) => {
    // Templates are inert: what lies in them is decoded when its address is given to the viewer, not before.
    const images = [item.querySelector(".overlay"), ...item.querySelector("template").content.querySelectorAll("img")];
    return { item, id: item.dataset.id, photo: item.querySelector(".photo"), layers: new Map(images.map((image) => [Number(image.dataset.layer), image])) };
  });
  const layerName = (index) => (index < 0 ? `${section.dataset.one} alone` : radios[index + 1].parentElement.querySelector("span").firstChild.data);
  const scoreOf = (shot, index) => Number(shot.layers.get(index)?.dataset.score ?? NaN);
  const scoreText = (shot, index) => {
    const { score, scoreName, cells } = shot.layers.get(index)?.dataset ?? {};
    return [score && `${scoreName} ${Number(score).toFixed(3)}`, cells && `${cells} cells`].filter(Boolean).join(", ");
  };
  const scored = radios.map((radio) => Number(radio.value)).filter((index) => shots.some((shot) => !Number.isNaN(scoreOf(shot, index))));

  let current = shots[0];
  let layer = scored[0] ?? 0;
  let ranked = layer; // the layer whose scores order the list: the last one shown that has scores
  const view = { scale: 1, x: 0, y: 0 };

  function place() {
    view.x = clamp(view.x, stage.clientWidth * (1 - view.scale), 0);
    view.y = clamp(view.y, stage.clientHeight * (1 - view.scale), 0);
    sheet.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
    stage.classList.toggle("zoomed", view.scale > 1);
  }

  // Zooms so that the point (x, y) of the stage stays where it is.
  function zoomTo(scale, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
    const next = clamp(scale, 1, 16);
    view.x = x - ((x - view.x) * next) / view.scale;
    view.y = y - ((y - view.y) * next) / view.scale;
    view.scale = next;
    place();
  }

  function show() {
    find(".viewer").style.setProperty("--ratio", current.photo.getAttribute("width") / current.photo.getAttribute("height"));
    if (photo.getAttribute("src") !== current.photo.getAttribute("src")) photo.src = current.photo.getAttribute("src");
    photo.alt = current.photo.alt;
    const chosen = current.layers.get(layer);
    if (chosen) overlay.src = chosen.getAttribute("src");
    else overlay.removeAttribute("src");
    overlay.alt = chosen ? `Over it: ${chosen.alt}` : "";
    for (const radio of radios) {
      const index = Number(radio.value);
      radio.checked = index === layer;
      radio.disabled = index >= 0 && !current.layers.has(index);
      const text = radio.nextElementSibling.querySelector("small");
      if (text) text.textContent = Number.isNaN(scoreOf(current, index)) ? "" : scoreOf(current, index).toFixed(3);
    }
    for (const { item } of shots) item.querySelector(".open").setAttribute("aria-current", String(item === current.item));
    const shown = [`${shots.indexOf(current) + 1} of ${shots.length}`, layerName(layer), scoreText(current, layer)];
    find(".now b").textContent = current.id;
    find(".now span").textContent = shown.filter(Boolean).join(" · ");
  }

  function sort() {
    const focused = document.activeElement;
    const byName = (a, b) => a.id.localeCompare(b.id, "en", { numeric: true });
    const lowerIsBetter = shots.some((shot) => shot.layers.get(ranked)?.dataset.lower !== undefined);
    const sign = (order.value === "best") === lowerIsBetter ? 1 : -1;
    const byScore = (a, b) => {
      const [one, other] = [scoreOf(a, ranked), scoreOf(b, ranked)];
      // Images without a score come last in either order.
      return Number.isNaN(one) - Number.isNaN(other) || sign * (one - other) || byName(a, b);
    };
    shots.sort(order.value === "name" || !scored.length ? byName : byScore);
    list.append(...shots.map((shot) => shot.item));
    for (const shot of shots) shot.item.querySelector(".score").textContent = scoreText(shot, ranked);
    find(".order").textContent = scored.length ? `Scores of ${layerName(ranked)}` : "";
    if (list.contains(focused)) focused.focus({ preventScroll: true }); // moving an element takes the focus off it
  }

  function reveal() {
    const { offsetLeft: left, offsetTop: top, offsetWidth: width, offsetHeight: height } = current.item;
    list.scrollTo({ left: left - (list.clientWidth - width) / 2, top: top - (list.clientHeight - height) / 2 });
  }

  function remember() {
    const state = new URLSearchParams({ image: current.id, layer: layer < 0 ? "" : layerName(layer) });
    history.replaceState(null, "", `#${state}`);
  }

  function choose(shot, index) {
    if (shot !== current) Object.assign(view, { scale: 1, x: 0, y: 0 });
    current = shot;
    layer = index < 0 || shot.layers.has(index) ? index : 0;
    if (scored.includes(layer) && layer !== ranked) {
      ranked = layer;
      sort();
    }
    show();
    place();
    reveal();
  }

  function pick(shot, index) {
    choose(shot, index);
    remember();
  }

  function step(by) {
    pick(shots[(shots.indexOf(current) + by + shots.length) % shots.length], layer);
  }

  function recall() {
    const state = new URLSearchParams(location.hash.slice(1));
    const shot = shots.find(({ id }) => id === state.get("image"));
    if (!shot) return false;
    const index = radios.findIndex((radio) => layerName(Number(radio.value)) === state.get("layer")) - 1;
    choose(shot, index);
    return true;
  }

  const hold = (held) => stage.classList.toggle("bare", held);

  function pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { key, target } = event;
    const arrows = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[key];
    // Radio buttons, the slider and the select use the arrows themselves.
    const own = arrows && target.matches("input, select");
    if (own || (target.matches("select") && /^\w$/.test(key))) return;
    if (arrows && event.shiftKey) {
      view.x += (arrows[0] * stage.clientWidth) / 8;
      view.y += (arrows[1] * stage.clientHeight) / 8;
      place();
    } else if (arrows && arrows[0]) step(-arrows[0]);
    else if (/^\d$/.test(key) && Number(key) < radios.length && !radios[key].disabled) pick(current, Number(key) - 1);
    else if (key === "+" || key === "=") zoomTo(view.scale * 2);
    else if (key === "-") zoomTo(view.scale / 2);
    else if (key.toLowerCase() === "h") hold(true);
    else return;
    event.preventDefault();
  }

  // One finger or the mouse moves a zoomed image, two fingers zoom it, a click zooms in and out.
  function watchPointers() {
    const pointers = new Map();
    let moved = false;
    let origin;
    const spread = () => {
      const [a, b] = [...pointers.values()];
      return b ? { distance: Math.hypot(a.x - b.x, a.y - b.y), x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 } : { distance: 1, ...a };
    };
    const at = (event) => {
      const box = stage.getBoundingClientRect();
      return { x: event.clientX - box.left, y: event.clientY - box.top };
    };
    stage.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      if (!pointers.size) [moved, origin] = [false, at(event)];
      pointers.set(event.pointerId, at(event));
      stage.setPointerCapture(event.pointerId);
    });
    stage.addEventListener("pointermove", (event) => {
      if (!pointers.has(event.pointerId)) return;
      const before = spread();
      pointers.set(event.pointerId, at(event));
      const after = spread();
      moved ||= pointers.size > 1 || Math.hypot(after.x - origin.x, after.y - origin.y) > 4;
      if (!moved) return;
      stage.classList.add("moving");
      view.x += after.x - before.x;
      view.y += after.y - before.y;
      zoomTo((view.scale * after.distance) / before.distance, after.x, after.y);
    });
    const release = (event) => {
      if (!pointers.delete(event.pointerId)) return;
      stage.classList.remove("moving");
      const { x, y } = at(event);
      if (event.type === "pointerup" && !moved && !pointers.size) zoomTo(view.scale > 1 ? 1 : 4, x, y);
    };
    stage.addEventListener("pointerup", release);
    stage.addEventListener("pointercancel", release);
    stage.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return; // a pinch on a touchpad; plain scrolling stays the page's
      event.preventDefault();
      const { x, y } = at(event);
      zoomTo(view.scale * 2 ** (-event.deltaY / 100), x, y);
    }, { passive: false });
  }

  function start() {
    document.documentElement.classList.add("js");
    find(".viewer").hidden = find(".order").hidden = false;
    order.disabled = !scored.length;
    for (const shot of shots) {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "open" });
      button.setAttribute("aria-label", `Show ${shot.id}`);
      button.addEventListener("click", () => pick(shot, layer));
      shot.item.append(button);
    }
    for (const radio of radios) radio.addEventListener("change", () => pick(current, Number(radio.value)));
    for (const button of section.querySelectorAll("[data-step]")) button.addEventListener("click", () => step(Number(button.dataset.step)));
    for (const button of section.querySelectorAll("[data-zoom]")) button.addEventListener("click", () => zoomTo(view.scale * button.dataset.zoom));
    order.addEventListener("change", () => { sort(); show(); reveal(); });
    find("[name=opacity]").addEventListener("input", (event) => { overlay.style.opacity = event.target.value / 100; });
    const button = find("[name=hold]");
    button.addEventListener("pointerdown", () => hold(true));
    button.addEventListener("keydown", (event) => { if (event.key === " " || event.key === "Enter") hold(true); });
    for (const type of ["pointerup", "pointercancel", "pointerleave", "blur"]) button.addEventListener(type, () => hold(false));
    section.addEventListener("keydown", pressed);
    // Before anything on the page has the focus, the keys are the gallery's while it is in view.
    document.addEventListener("keydown", (event) => {
      const { top, bottom } = stage.getBoundingClientRect();
      if (event.target === document.body && top < innerHeight && bottom > 0) pressed(event);
    });
    document.addEventListener("keyup", (event) => { if (event.target === document.body) hold(false); });
    section.addEventListener("keyup", () => hold(false));
    window.addEventListener("blur", () => hold(false));
    window.addEventListener("resize", place);
    window.addEventListener("hashchange", () => { if (recall()) section.scrollIntoView(); });
    watchPointers();
    sort();
    if (recall()) section.scrollIntoView();
    else choose(shots[0], layer);
  }

  start();
})();
