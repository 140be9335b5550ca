// How times, numbers and elements are put into words. Times are whole microseconds.

const clock = (us) => `${Math.floor(us / 1e6)}.${String(us % 1e6).padStart(6, '0')}`;

const count = (number) => number.toLocaleString('en');

const UNITS = [['d', 864e8], ['h', 36e8], ['m', 6e7], ['s', 1e6], ['ms', 1e3], ['us', 1]];

// '2m30s', at most two units, with three digits at least.
function span(us) {
  if (us <= 0) return '0s';
  if (us < 1e3) return `${+us.toFixed(0)}us`;
  if (us < 1e6) return `${+(us / 1e3).toPrecision(3)}ms`;
  if (us < 6e7) return `${+(us / 1e6).toPrecision(3)}s`;
  const [unit, size] = UNITS.find(([, each]) => us >= each);
  const [smaller, part] = UNITS[UNITS.findIndex(([each]) => each === unit) + 1];
  let whole = Math.floor(us / size);
  let rest = Math.round((us - whole * size) / part);
  if (rest * part >= size) [whole, rest] = [whole + 1, 0];
  return `${whole}${unit}${rest ? rest + smaller : ''}`;
}

// Steps between ticks of an axis: the smallest that leaves `room` microseconds between two.
const STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500].flatMap((n) => [n, n * 1e3]).concat(
  [1, 2, 5, 10, 15, 30].map((s) => s * 1e6), [1, 2, 5, 10, 15, 30].map((m) => m * 6e7),
  [1, 2, 3, 6, 12].map((h) => h * 36e8), [1, 2, 5, 10, 20, 50, 100].map((d) => d * 864e8)).sort((a, b) => a - b);

const step = (room) => STEPS.find((each) => each >= room) || STEPS[STEPS.length - 1];

// The label of a tick, as exact as its step.
function tick(us, by) {
  if (by >= 1e6) return exact(us);
  return `${(us / 1e6).toFixed(by >= 1e5 ? 1 : by >= 1e4 ? 2 : by >= 1e3 ? 3 : by >= 100 ? 4 : by >= 10 ? 5 : 6)}s`;
}

function exact(us) {
  let text = '';
  for (const [unit, size] of UNITS.slice(0, 4)) {
    const whole = Math.floor(us / size);
    us -= whole * size;
    if (whole) text += whole + unit;
  }
  return text || '0s';
}

// An element of the page. Words only ever get in as text.
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

const byId = (id) => document.getElementById(id);
