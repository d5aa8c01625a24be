element.addEventListener("input", ({ target }) => {
  target.closest(".compare").style.setProperty("--cut", `${target.value}%`);
});
element.addEventListener("click", ({ target }) => {
  if (target.tagName !== "BUTTON") return;
  target.closest(".compare").dataset.before = target.value;
  for (const button of target.parentElement.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", button === target);
  }
});
