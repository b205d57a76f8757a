/** Small conveniences for pages that work without them. */

/** Close an open menu on Escape or on a click elsewhere. */
function closeMenus(): void {
  const close = (except: Node | null): void => {
    for (const menu of document.querySelectorAll<HTMLDetailsElement>("details.menu[open]")) {
      if (!except || !menu.contains(except)) menu.open = false;
    }
  };
  document.addEventListener("click", (event) => close(event.target as Node));
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const open = document.querySelector<HTMLDetailsElement>("details.menu[open]");
    close(null);
    open?.querySelector("summary")?.focus();
  });
}

/** `<button data-copy="#place">` copies a field's value or an element's text; without a clipboard it selects it. */
function copyButtons(): void {
  document.addEventListener("click", (event) => {
    const button = (event.target as Element).closest<HTMLButtonElement>("button[data-copy]");
    const place = button && document.querySelector<HTMLElement>(button.dataset.copy ?? "");
    if (!button || !place) return;
    const text = place instanceof HTMLInputElement ? place.value : place.innerText;
    if (place instanceof HTMLInputElement) place.select();
    else window.getSelection()?.selectAllChildren(place);
    const copied = navigator.clipboard?.writeText(text) ?? Promise.reject(new Error("no clipboard"));
    copied.then(
      () => say(button, "Copied"),
      () => say(button, "Press Ctrl+C"),
    );
  });
}

function say(button: HTMLButtonElement, text: string): void {
  const before = button.dataset.text ?? button.textContent ?? "";
  button.dataset.text = before;
  button.textContent = text;
  setTimeout(() => (button.textContent = before), 2000);
}

/** `<form data-confirm="Question?">` asks before it is sent. */
function confirmForms(): void {
  document.addEventListener("submit", (event) => {
    const question = (event.target as HTMLElement).dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });
}

/** `<div id="list" data-refresh="seconds">` asks for itself again, while the page can be seen. */
function refreshLists(): void {
  for (const list of document.querySelectorAll<HTMLElement>("[data-refresh][id]")) {
    const seconds = Number(list.dataset.refresh);
    if (seconds > 0) setInterval(() => void (document.hidden ? null : refreshElement(list.id)), seconds * 1000);
  }
}

/** Replace the contents of the element with this id by what the server now renders for it. */
export async function refreshElement(id: string): Promise<boolean> {
  const target = document.getElementById(id);
  if (!target) return false;
  try {
    const response = await fetch(window.location.href, { credentials: "same-origin", cache: "no-store" });
    if (!response.ok || response.redirected) return false;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html").getElementById(id);
    if (!fresh) return false;
    // A reader inside the list keeps their place: nothing is replaced under their focus.
    if (target.contains(document.activeElement) || target.innerHTML === fresh.innerHTML) return true;
    target.replaceChildren(...fresh.childNodes);
    return true;
  } catch {
    return false;
  }
}

/** `<video data-film>` plays by itself, unless the reader asks for less motion; it has controls in any case. */
function playFilms(): void {
  for (const film of document.querySelectorAll<HTMLVideoElement>("video[data-film]")) play(film);
}

/** Also for a film that a component has just put on the page. */
export function play(film: HTMLVideoElement): void {
  if (!window.matchMedia("(prefers-reduced-motion: reduce)").matches) void film.play().catch(() => undefined);
}

export function enhancePage(): void {
  closeMenus();
  copyButtons();
  confirmForms();
  refreshLists();
  playFilms();
}
