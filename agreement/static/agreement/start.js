/* The page that starts a draft: who chooses a file or an edition also chooses to start with it, and both files are
   dropped or chosen together. The server then finds out which language each of them is in. The button is named after
   what it does. */
"use strict";
for (const fields of document.querySelectorAll("[data-choice]")) {
    fields.addEventListener("change", () => { document.getElementById(fields.dataset.choice).checked = true; });
}
/* Files are first read, and then displayed on the page that creates the draft. The button says so. */
function nameButton() {
    const button = document.querySelector("input[data-files]");
    if (!button) return;
    const files = button.form.elements.begin.value === "files";
    button.value = files ? button.dataset.files : button.dataset.other;
}
document.querySelector("input[data-files]")?.form.addEventListener("change", nameButton);
nameButton();
for (const zone of document.querySelectorAll("[data-drop]")) {
    const form = zone.closest("form");
    const both = zone.querySelector("input");
    const refusal = zone.querySelector("[role=alert]");
    const places = [...form.querySelectorAll("input[type=file][name]")];
    const take = (files) => {
        refusal.hidden = files.length === 2;
        if (files.length !== 2) return;
        places.forEach((place, index) => {
            const chosen = new DataTransfer();
            chosen.items.add(files[index]);
            place.files = chosen.files;
        });
        form.elements.by_language.value = "True";
        document.getElementById(zone.closest("[data-choice]").dataset.choice).checked = true;
        nameButton();
    };
    both.addEventListener("change", () => { take(both.files); both.value = ""; });
    for (const place of places) {
        place.addEventListener("change", () => { form.elements.by_language.value = ""; });
    }
    /* A file that misses the zone would replace the page. */
    for (const kind of ["dragover", "drop"]) {
        document.addEventListener(kind, (event) => {
            if (event.dataTransfer.types.includes("Files") && event.target.type !== "file") event.preventDefault();
        });
    }
    zone.addEventListener("dragover", () => zone.classList.add("agreement-over"));
    for (const kind of ["dragleave", "drop"]) zone.addEventListener(kind, () => zone.classList.remove("agreement-over"));
    zone.addEventListener("drop", (event) => { event.preventDefault(); take(event.dataTransfer.files); });
    zone.hidden = false;
}
