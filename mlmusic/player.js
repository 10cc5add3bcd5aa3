// Upgrades every static player on the page: its pictures and <audio> elements, which work without
// this script, get a playhead, loops, versions side by side, tempo, keys. Nothing global is left
// behind, nothing is fetched; all listeners sit on the player's own elements and go with it.
(() => {
  const CSS = `
.mlmusic-on{max-width:790px;font:13px/1.5 system-ui,sans-serif;color:inherit;text-align:left}
.mlmusic-on [hidden]{display:none!important}
.mlm-title{margin:0 0 4px}.mlm-title b{font-size:15px;margin-right:8px}
.mlm-bar{display:flex;flex-wrap:wrap;align-items:center;gap:6px 10px;margin:5px 0}
.mlm-bar button,.mlm-bar a{font:inherit;color:inherit;background:transparent;border:1px solid #8889;
border-radius:6px;padding:2px 10px;min-height:30px;box-sizing:border-box;cursor:pointer;
text-decoration:none;display:inline-flex;align-items:center;gap:6px;margin:0}
.mlm-bar button:hover,.mlm-bar a:hover{background:#8883}
.mlm-bar button[aria-pressed=true]{background:#8884;border-color:currentColor;font-weight:600;
box-shadow:inset 0 -3px currentColor}
.mlmusic-on :focus-visible{outline:3px solid #2684ff;outline-offset:2px}
.mlm-bar .mlm-play{width:44px;height:38px;padding:0;justify-content:center;border-radius:19px}
.mlm-play i{width:14px;height:16px;background:currentColor;clip-path:polygon(10% 0,100% 50%,10% 100%)}
.mlm-play.on i{clip-path:polygon(0 0,36% 0,36% 100%,64% 100%,64% 0,100% 0,100% 100%,0 100%)}
.mlm-time{font-variant-numeric:tabular-nums;min-width:11em}
.mlm-push{margin-left:auto}
.mlm-stage{position:relative;overflow:auto;max-height:75vh;border:1px solid #8886;border-radius:6px;
background:#fff}
.mlm-page{position:relative;min-width:520px}
.mlmusic-on .mlm-page img{display:block;width:100%;max-width:none;margin:0;height:auto;padding:0}
.mlm-over{position:absolute;inset:0;cursor:pointer;touch-action:pan-x pan-y;border-radius:6px}
.mlmusic-on .mlm-over:focus-visible{outline-offset:-3px}
.mlm-head{position:absolute;width:2px;margin-left:-1px;background:#d1242f;pointer-events:none}
.mlm-head::before{content:"";position:absolute;left:-4px;top:-4px;border:5px solid transparent;
border-top:7px solid #d1242f}
.mlm-loop{position:absolute;background:#ffbf002e;border:solid #b98900;border-width:0 2px;
pointer-events:none;box-sizing:border-box}
.mlm-bar input[type=range]{width:110px;margin:0;vertical-align:middle}
.mlm-voice{display:inline-flex;align-items:center;gap:5px}
.mlmusic-on .mlm-voice img{margin:0;background:#fff;border-radius:3px;display:block}
.mlm-bar .mlm-voice button{padding:0 7px;min-height:24px}
.mlm-more{margin:2px 0}.mlm-more summary{cursor:pointer;width:max-content}
.mlm-more p{margin:2px 0 2px 14px}.mlm-more kbd{border:1px solid #8889;border-radius:4px;padding:0 5px;
font:12px ui-monospace,monospace;background:none;color:inherit;box-shadow:none}
[data-jp-theme-light=false] .mlm-stage,[theme=dark] .mlm-stage,.vscode-dark .mlm-stage{background:#1e1e1e}
[data-jp-theme-light=false] .mlmusic-on img,[theme=dark] .mlmusic-on img,.vscode-dark .mlmusic-on img
{filter:invert(.88) hue-rotate(180deg)}
`;
  const KEYS = [["Space", "play or pause"], ["← →", "a beat back or on (Shift: a bar)"],
    ["Home End", "start, end"], ["[ ]", "loop from, or to, this bar"], ["\\", "loop off"],
    ["1 – 9", "switch version"], ["− +", "slower, faster"], ["n", "notation or piano roll"]];

  // Small helpers ------------------------------------------------------------------------------
  const make = (tag, set = {}, ...inside) => {
    const element = document.createElement(tag);
    for (const [key, value] of Object.entries(set)) {
      if (key in element) element[key] = value; else element.setAttribute(key, value);
    }
    // JupyterLab and Notebook 7 read keys before the page does, unless the focused element says no.
    element.setAttribute("data-lm-suppress-shortcuts", "true");
    element.append(...inside);
    return element;
  };
  const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
  // Straight lines between the points (from[i], to[i]); `from` increases.
  const interpolate = (from, to, x) => {
    let i = 1;
    while (i < from.length - 1 && from[i] < x) i++;
    const share = (x - from[i - 1]) / (from[i] - from[i - 1] || 1);
    return to[i - 1] + clamp(share, 0, 1) * (to[i] - to[i - 1]);
  };
  const bytes = base64 => Uint8Array.from(atob(base64), c => c.charCodeAt(0));
  const clock = s => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;

  async function inflate(base64) {
    const stream = new Blob([bytes(base64)]).stream().pipeThrough(new DecompressionStream("deflate"));
    return "data:image/svg+xml," + encodeURIComponent(await new Response(stream).text());
  }

  // The MP3 decoded to 16-bit PCM: a WAV file without a byte of it in the page.
  async function wav(audio, rate) {
    const context = new OfflineAudioContext(1, 1, rate);
    const sound = await context.decodeAudioData(bytes(audio.src.split(",")[1]).buffer);
    const samples = sound.getChannelData(0), view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
    const text = (at, word) => [...word].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
    text(0, "RIFF"); text(8, "WAVEfmt "); text(36, "data");
    for (const [at, value] of [[4, 36 + 2 * samples.length], [16, 16], [24, rate], [28, 2 * rate],
      [40, 2 * samples.length]]) view.setUint32(at, value, true);
    for (const [at, value] of [[20, 1], [22, 1], [32, 2], [34, 16]]) view.setUint16(at, value, true);
    samples.forEach((s, i) => view.setInt16(44 + 2 * i, Math.round(clamp(s, -1, 1) * 32767), true));
    return new Blob([view], { type: "audio/wav" });
  }

  function mount(root) {
    const data = JSON.parse(root.dataset.player);
    const figures = [...root.children];
    const versions = data.versions;
    versions.forEach((v, i) => {
      v.image = figures[i].querySelector("img");
      v.audio = figures[i].querySelector("audio");
      v.pictures[0].src = v.image.src;
      v.seconds = position => interpolate(v.times[0], v.times[1], position);
      v.position = seconds => interpolate(v.times[1], v.times[0], seconds);
    });
    let current = 0, view = versions[0].pictures[0].kind, loop = null, rate = 1, drag = null;
    let frame = 0, channel = null, shownRow = -1, picture = versions[0].pictures[0];
    const now = () => versions[current];
    const playing = () => !now().audio.paused;
    const here = () => now().position(now().audio.currentTime);

    // Elements -----------------------------------------------------------------------------------
    const button = (label, action, set = {}) =>
      make("button", { type: "button", onclick: action, ...set }, label);
    const playButton = button(make("i"), toggle, { className: "mlm-play" });
    const time = make("span", { className: "mlm-time" });
    const facts = make("span");
    const choice = make("span", { className: "mlm-bar", role: "group", "aria-label": "Version" });
    versions.forEach((v, i) => {
      v.button = button(`${i + 1}  ${v.name}`, () => choose(i));
      choice.append(v.button);
    });
    const page = make("div", { className: "mlm-page" }, ...versions.map(v => v.image));
    const head = make("div", { className: "mlm-head" });
    const over = make("div", { className: "mlm-over", tabIndex: 0, role: "slider",
      "aria-label": "Position", "aria-valuemin": 0 }, head);
    const stage = make("div", { className: "mlm-stage" }, page);
    page.append(over);
    const loopButton = button("Loop", () => setLoop(loop ? null : [edge(here()), edge(here(), 1)]));
    const tempo = make("input", { type: "range", min: 50, max: 150, step: 5, value: 100,
      "aria-label": "Tempo in per cent", oninput: () => setRate(tempo.value / 100) });
    const tempoText = make("span");
    const viewButton = button("", () => show(other()));
    const midi = make("a", { title: "Download as MIDI" }, "MIDI");
    const wavButton = button("WAV", saveWav, { title: "Download as WAV" });
    const legend = make("div", { className: "mlm-bar" });
    const status = make("span", { role: "status" });
    const told = make("p");
    const help = make("details", { className: "mlm-more" }, make("summary", {}, "Keys"),
      make("p", {}, ...KEYS.flatMap(([key, does]) => [make("kbd", {}, key), ` ${does}   `]),
        " Drag across the picture to loop, click to jump."));
    const ui = [
      make("style", {}, CSS),
      make("div", { className: "mlm-title" }, make("b", {}, data.title), facts),
      make("div", { className: "mlm-bar" }, playButton, time, versions.length > 1 ? choice : ""),
      stage,
      make("div", { className: "mlm-bar" }, loopButton, make("label", {}, "Tempo ", tempo, " ",
        tempoText), viewButton, status, make("span", { className: "mlm-bar mlm-push" }, midi, wavButton)),
      legend,
      make("details", { className: "mlm-more" }, make("summary", {}, "Description"), told),
      help,
    ];

    // Sound ----------------------------------------------------------------------------------------
    function toggle() {
      if (playing()) return now().audio.pause();
      now().audio.play().catch(error => say(`The sound can't play: ${error.message}`));
    }
    function seek(position) {
      now().audio.currentTime = now().seconds(clamp(position, 0, now().end));
      sync(true);
      draw();
    }
    // Compared scores keep the musical position, whatever their tempo; with a waveform, the second.
    function choose(i) {
      if (i === current || !versions[i]) return;
      const before = now(), on = playing(), seconds = before.audio.currentTime;
      before.audio.pause();
      current = i;
      const musical = before.bars && now().bars;
      if (!before.bars !== !now().bars) loop = null;
      now().audio.currentTime = musical ? now().seconds(before.position(seconds)) : seconds;
      if (loop && loop[0] >= now().end) loop = null;
      dress();
      if (on) toggle();
      say(`Version ${i + 1}: ${now().name}`);
    }
    function setRate(value) {
      rate = clamp(Math.round(value * 20) / 20, 0.5, 1.5);
      tempo.value = rate * 100;
      versions.forEach(v => { v.audio.playbackRate = v.audio.defaultPlaybackRate = rate; });
      const bpm = now().bpm ? `♩ = ${Math.round(now().bpm * rate)}` : "";
      tempoText.textContent = `${Math.round(rate * 100)} % ${bpm}`;
      sync();
    }
    // Mute and solo: the whole mix stays the clock, silent; the voices' own sounds follow it.
    function sync(force) {
      const v = now(), solo = v.voices.some(o => o.solo);
      const heard = v.voices.map(o => Boolean(solo ? o.solo : !o.mute));
      const partial = v.stems && heard.includes(false);
      v.audio.muted = Boolean(partial);
      versions.forEach(w => w.voices.forEach((o, i) => {
        if (w !== v || !partial || !heard[i]) return o.audio && o.audio.pause();
        if (!o.audio) {
          o.audio = make("audio", { src: "data:audio/mpeg;base64," + o.stem, hidden: true });
          root.append(o.audio);
        }
        o.audio.playbackRate = rate;
        if (force || Math.abs(o.audio.currentTime - v.audio.currentTime) > 0.08) {
          o.audio.currentTime = v.audio.currentTime;
        }
        if (playing() && o.audio.paused) o.audio.play().catch(() => {});
        if (!playing()) o.audio.pause();
      }));
    }

    // Bars and loops -------------------------------------------------------------------------------
    const bar = position => {
      const { bars } = now();
      let i = 0;
      while (i < bars.length - 2 && bars[i + 1] <= position + 1e-4) i++;
      return i;
    };
    // The bar line before a position, or after it; in a waveform, the position, or a second on.
    const edge = (position, after = 0) => clamp(
      now().bars ? now().bars[bar(position) + after] : position + after, 0, now().end);
    const barNumber = position => bar(position) + now().first;
    function setLoop(range) {
      loop = range && range[1] - range[0] > 0.02 ? range : null;
      if (loop && (here() < loop[0] - 1e-3 || here() >= loop[1])) seek(loop[0]);
      dressLoop();
      say(loop ? `Looping ${loopName()}` : "Loop off");
    }
    function loopName() {
      if (!now().bars) return `${loop[0].toFixed(1)}–${loop[1].toFixed(1)} s`;
      const a = barNumber(loop[0]), b = barNumber(loop[1] - 0.01);
      return a === b ? `bar ${a}` : `bars ${a}–${b}`;
    }
    function keepLoop() {
      const { audio } = now();
      if (!loop || audio.seeking) return;
      if (audio.currentTime >= now().seconds(Math.min(loop[1], now().end)) - 0.005 || audio.ended) {
        audio.currentTime = now().seconds(loop[0]);
        sync(true);
      }
    }

    // Drawing ----------------------------------------------------------------------------------------
    const rowOf = position => {
      const i = picture.rows.findIndex(row => position < row.at[row.at.length - 1] - 1e-6);
      return i < 0 ? picture.rows.length - 1 : i;
    };
    function placeIn(element, row, from, to) {
      const { width, height } = picture;
      element.style.left = `${100 * interpolate(row.at, row.x, from) / width}%`;
      element.style.top = `${100 * row.top / height}%`;
      element.style.height = `${100 * (row.bottom - row.top) / height}%`;
      if (to !== undefined) {
        const x = interpolate(row.at, row.x, to) - interpolate(row.at, row.x, from);
        element.style.width = `${100 * x / width}%`;
      }
    }
    function draw() {
      const v = now(), position = clamp(here(), 0, v.end), seconds = v.audio.currentTime;
      const row = rowOf(position);
      placeIn(head, picture.rows[row], position);
      const beat = v.bars && 1 + Math.floor((position - v.bars[bar(position)]) / v.beat + 1e-4);
      const where = v.bars ? `bar ${barNumber(position)}, beat ${beat}` : `${seconds.toFixed(1)} s`;
      time.textContent = `${clock(seconds)} / ${clock(v.seconds(v.end))}` + (v.bars ? ` · ${where}` : "");
      over.setAttribute("aria-valuenow", Math.round(position * 100) / 100);
      over.setAttribute("aria-valuetext", where);
      if (row !== shownRow && playing()) { // a tall picture scrolls so that the row in play is seen
        const scale = page.offsetHeight / picture.height, { top, bottom } = picture.rows[row];
        if (bottom * scale > stage.scrollTop + stage.clientHeight || top * scale < stage.scrollTop) {
          stage.scrollTop = Math.max(0, top * scale - 20);
        }
        shownRow = row;
      }
    }
    function tick() {
      keepLoop();
      sync();
      draw();
      frame = playing() && root.isConnected ? requestAnimationFrame(tick) : 0;
    }
    function dressLoop() {
      over.querySelectorAll(".mlm-loop").forEach(part => part.remove());
      loopButton.setAttribute("aria-pressed", Boolean(loop));
      loopButton.textContent = loop ? `Loop ${loopName()}` : "Loop";
      for (const row of loop ? picture.rows : []) {
        const a = Math.max(loop[0], row.at[0]), b = Math.min(loop[1], row.at[row.at.length - 1]);
        if (a < b) {
          const part = make("div", { className: "mlm-loop" });
          over.prepend(part);
          placeIn(part, row, a - 0.011, b - 0.011); // just before a bar's first note: its line
        }
      }
    }
    const named = kind => now().pictures.find(p => p.kind === kind) || now().pictures[0];
    const other = () => (now().pictures.find(p => p !== picture) || picture).kind;
    async function show(kind) {
      view = kind;
      picture = named(kind);
      const wanted = picture, v = now();
      if (!picture.src) picture.src = await inflate(picture.packed);
      if (picture !== wanted) return;
      v.image.src = picture.src;
      viewButton.hidden = v.pictures.length < 2;
      // Colours and patterns mean something in the roll only; mute and solo in both.
      legend.hidden = v.voices.length < 2 || (kind === "notation" && !v.stems);
      viewButton.textContent = other() === "notation" ? "Notation" : "Piano roll";
      shownRow = -1;
      dressLoop();
      draw();
    }
    // Everything that depends on the version in play.
    function dress() {
      const v = now();
      versions.forEach(w => {
        w.image.hidden = w !== v;
        w.button.setAttribute("aria-pressed", w === v);
      });
      over.setAttribute("aria-valuemax", v.end);
      midi.hidden = !v.midi;
      midi.href = "data:audio/midi;base64," + v.midi;
      midi.download = `${v.file}.mid`;
      told.textContent = v.image.alt;
      facts.textContent = v.facts;
      legend.replaceChildren(...v.voices.map(o => make("span", { className: "mlm-voice" },
        make("img", { src: "data:image/svg+xml," + encodeURIComponent(o.swatch), alt: "" }), o.name,
        ...(v.stems ? [switchOf(o, "mute", "M"), switchOf(o, "solo", "S")] : []))));
      setRate(rate);
      show(view);
      dressButton();
    }
    function switchOf(voice, what, letter) {
      const set = on => {
        voice[what] = on;
        element.setAttribute("aria-pressed", Boolean(on));
        sync(true);
      };
      const element = button(letter, () => set(!voice[what]),
        { "aria-label": `${what} ${voice.name}`, title: what });
      element.setAttribute("aria-pressed", Boolean(voice[what]));
      return element;
    }
    function dressButton() {
      playButton.classList.toggle("on", playing());
      playButton.setAttribute("aria-label", playing() ? "Pause" : "Play");
    }
    const say = text => { status.textContent = text; };
    async function saveWav() {
      const url = URL.createObjectURL(await wav(now().audio, now().rate));
      make("a", { href: url, download: `${now().file}.wav` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 1000);
    }

    // Listening: the sound, the pointer, the keys ------------------------------------------------------
    for (const { audio } of versions) {
      audio.addEventListener("play", () => {
        // One sound at a time: any other player, in this page or another frame of it, pauses.
        channel = channel || new BroadcastChannel("mlmusic");
        channel.onmessage = () => now().audio.pause();
        channel.postMessage("playing");
        dressButton();
        cancelAnimationFrame(frame);
        tick();
      });
      audio.addEventListener("pause", () => {
        if (channel && !playing()) { channel.close(); channel = null; }
        sync();
        dressButton();
        draw();
      });
      audio.addEventListener("ended", () => { if (loop) { keepLoop(); toggle(); } });
      audio.addEventListener("timeupdate", keepLoop); // frames stop in a hidden tab, this doesn't
      audio.addEventListener("seeked", draw);
      audio.addEventListener("error", () => say("This browser can't decode the sound (MP3)."));
    }
    const positionAt = event => {
      const box = page.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width * picture.width;
      const y = (event.clientY - box.top) / box.height * picture.height;
      const far = row => Math.max(row.top - y, y - row.bottom, 0);
      const row = picture.rows.reduce((best, next) => (far(next) < far(best) ? next : best));
      return interpolate(row.x, row.at, x);
    };
    over.addEventListener("pointerdown", event => {
      if (event.button) return;
      drag = { from: positionAt(event), x: event.clientX, y: event.clientY, moved: false };
      over.setPointerCapture(event.pointerId);
    });
    over.addEventListener("pointermove", event => {
      if (!drag) return;
      drag.moved ||= Math.hypot(event.clientX - drag.x, event.clientY - drag.y) > 6;
      if (!drag.moved) return;
      const [a, b] = [drag.from, positionAt(event)].sort((p, q) => p - q);
      loop = [edge(a), now().bars ? edge(b, 1) : b];
      dressLoop();
    });
    over.addEventListener("pointerup", event => {
      if (!drag) return;
      if (drag.moved) setLoop(loop); else seek(positionAt(event));
      drag = null;
      over.focus({ preventScroll: true });
    });
    over.addEventListener("pointercancel", () => { drag = null; });

    const step = (event, sign) => {
      const v = now();
      if (event.shiftKey) return seek(sign > 0 ? edge(here(), 1) : edge(here() - 0.1));
      seek(here() + sign * (v.bars ? v.beat : 1));
    };
    const keys = {
      " ": toggle, ArrowLeft: e => step(e, -1), ArrowRight: e => step(e, 1),
      Home: () => seek(0), End: () => seek(now().end),
      "[": () => setLoop([edge(here()), loop && loop[1] > edge(here()) ? loop[1] : edge(here(), 1)]),
      "]": () => setLoop([loop && loop[0] < here() ? loop[0] : edge(here()), edge(here(), now().bars ? 1 : 0)]),
      "\\": () => setLoop(null), "-": () => setRate(rate - 0.05), "+": () => setRate(rate + 0.05),
      "=": () => setRate(rate + 0.05), n: () => show(other()), "?": () => { help.open = !help.open; },
    };
    root.addEventListener("keydown", event => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const control = event.target.closest("button,a,summary,input");
      const own = control && (event.key === " " || event.key === "Enter" ||
        (control === tempo && /Arrow|Home|End/.test(event.key)));
      const action = /^[1-9]$/.test(event.key) ? () => choose(event.key - 1) : keys[event.key];
      // The notebook would take a stray letter as a command: x cuts a cell.
      if (own ? !event.shiftKey : action || event.key.length === 1) event.stopPropagation();
      if (own || !action) return;
      action(event);
      event.preventDefault();
    });

    // The static form gives way only now, when nothing above has failed.
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", `Player: ${data.title}`);
    root.classList.add("mlmusic-on");
    figures.forEach(figure => { figure.hidden = true; });
    root.append(...ui);
    dress();
    if (data.loop) setLoop(data.loop);
    status.textContent = "";
  }

  document.querySelectorAll(".mlmusic[data-player]:not(.mlmusic-on)").forEach(root => {
    try { mount(root); } catch (error) { console.warn("mlmusic: the player stays plain:", error); }
  });
})();
