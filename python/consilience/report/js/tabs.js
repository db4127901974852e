// The parts of a study behind tabs; a link to a section opens the part that holds it.
function tabsOf(panels, shown) {
  const tabs = Array.from(document.querySelectorAll('[role="tab"]'));
  const links = Array.from(document.querySelectorAll("nav [data-of]"));
  function show(which) {
    tabs.forEach((tab, i) => {
      tab.setAttribute("aria-selected", String(i === which));
      tab.tabIndex = i === which ? 0 : -1;
    });
    panels.forEach((panel, i) => panel.classList.toggle("away", i !== which));
    links.forEach((span, i) => { span.hidden = i !== which; });
    shown(which);
  }
  tabs.forEach((tab, i) => {
    tab.addEventListener("click", () => show(i));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const to = event.key === "Home" ? 0 : event.key === "End" ? tabs.length - 1 : step ? (i + step + tabs.length) % tabs.length : null;
      if (to === null) return;
      event.preventDefault();
      show(to);
      tabs[to].focus();
    });
  });
  function follow() {
    const target = location.hash.length > 1 ? at(decodeURIComponent(location.hash.slice(1))) : null;
    const panel = target && target.closest(".part");
    if (!panel) return false;
    show(panels.indexOf(panel));
    target.scrollIntoView();
    return true;
  }
  window.addEventListener("hashchange", follow);
  if (!follow()) show(0);
}
