/* The writing page: clause numbers and findings in the margin, a preview, two texts that scroll together, and storage
   for unsaved text. Without this script the page is an ordinary form of the admin. */
"use strict";
(() => {
    const desk = document.getElementById("agreement-desk");
    if (!desk) return;
    const labels = desk.dataset;
    const form = desk.closest("form");
    const make = (tag, className, text) => {
        const element = document.createElement(tag);
        if (className) element.className = className;
        if (text !== undefined) element.textContent = text;
        return element;
    };
    const languages = ["kk", "ru"];
    const sides = {};
    let texts = {}, messages = [], checks = 0, saving = false, sure = false, dirty = false, together = true, panel = "preview";

    // Each text has a margin and a list of findings.
    for (const language of languages) {
        const area = document.getElementById(`id_body_${language}`);
        if (!area) return;
        const editor = make("div", "agreement-editor"), margin = make("div", "agreement-margin");
        const marks = make("div", "agreement-marks"), mirror = make("div", "agreement-mirror");
        const findings = make("ul", "agreement-findings");
        findings.setAttribute("aria-label", labels.findings);
        margin.setAttribute("aria-hidden", "true");
        mirror.setAttribute("aria-hidden", "true");
        area.before(editor);
        margin.append(marks);
        editor.append(margin, area, mirror);
        const counterpart = make("button", "button agreement-counterpart", labels.counterpart);
        counterpart.type = "button";
        counterpart.lang = document.documentElement.lang;
        editor.after(counterpart, findings);
        sides[language] = {area, margin, marks, mirror, findings, tops: [], other: languages.find((it) => it !== language)};
        counterpart.addEventListener("click", () => toCounterpart(language, unitAt(language, lineOf(area))));
        area.addEventListener("scroll", () => follow(language), {passive: true});
        area.addEventListener("input", () => { breakLines(area); changed(); });
        for (const event of ["keyup", "click"]) area.addEventListener(event, () => showInPreview(language));
        new ResizeObserver(() => { measure(language); draw(language); }).observe(area);
    }

    // The bar and the panel below the two texts.
    const bar = make("div", "agreement-bar"), status = make("span", "agreement-status"), stored = make("span", "agreement-stored");
    status.setAttribute("role", "status");
    stored.setAttribute("role", "status");
    const tabs = {};
    for (const name of ["preview", "changes"]) {
        tabs[name] = make("button", "button", labels[name]);
        tabs[name].type = "button";
        tabs[name].addEventListener("click", () => { panel = panel === name ? "" : name; check(); });
        bar.append(tabs[name]);
    }
    const step = make("label", "agreement-together", ` ${labels.together}`), tick = make("input");
    tick.type = "checkbox";
    tick.checked = together;
    tick.addEventListener("change", () => { together = tick.checked; });
    step.prepend(tick);
    bar.append(step, status, stored);
    const shown = make("div", "agreement-panel"), pages = {};
    for (const language of languages) {
        const page = make("div", "agreement-preview");
        page.lang = language;
        page.tabIndex = 0;
        page.setAttribute("role", "region");
        page.setAttribute("aria-label", labels[language]);
        pages[language] = page;
        shown.append(page);
    }
    sides.kk.area.closest("fieldset").append(bar, shown);

    // Line numbers and positions.
    function lineOf(area) {
        return area.value.slice(0, area.selectionStart).split("\n").length;
    }
    function unitAt(language, line) {
        return ((texts[language] || {}).units || []).filter((unit) => unit.line <= line).pop();
    }
    function unitOf(language, number) {
        return ((texts[language] || {}).units || []).find((unit) => unit.number === number);
    }
    function measure(language) {
        // A textarea does not give the positions of its lines. A box of the same width with the same words does.
        const {area, mirror} = sides[language], style = getComputedStyle(area);
        for (const name of ["fontFamily", "fontSize", "fontWeight", "lineHeight", "letterSpacing", "paddingTop", "paddingLeft", "paddingRight", "tabSize"]) {
            mirror.style[name] = style[name];
        }
        mirror.style.width = `${area.clientWidth}px`;
        mirror.replaceChildren(...area.value.split("\n").map((line) => make("div", "", line || "\u200b")));
        sides[language].tops = Array.from(mirror.children, (line) => line.offsetTop);
    }
    function draw(language) {
        const {area, marks, tops, other} = sides[language], byLine = new Map();
        const at = (line) => {
            if (!byLine.has(line)) {
                const mark = make("div", "agreement-mark");
                mark.style.top = `${tops[line - 1] || 0}px`;
                byLine.set(line, mark);
            }
            return byLine.get(line);
        };
        for (const unit of (texts[language] || {}).units || []) {
            const number = make("span", "agreement-number", unit.label || unit.number);
            if (texts[other] && !unitOf(other, unit.number)) {
                number.classList.add("agreement-lonely");
                number.title = labels.lonely;
            }
            number.addEventListener("click", () => toCounterpart(language, unit));
            at(unit.line).append(number);
        }
        for (const message of messages) {
            if (message.language !== language) continue;
            for (const line of message.lines) {
                const sign = make("span", `agreement-sign agreement-${message.severity}`, message.severity === "error" ? "✕" : "!");
                sign.title = `${message.sentence} ${message.hint}`;
                sign.addEventListener("click", () => toLine(language, line));
                at(line).prepend(sign);
            }
        }
        marks.replaceChildren(...byLine.values());
        marks.style.transform = `translateY(${-area.scrollTop}px)`;
    }
    function toLine(language, line) {
        const {area, tops} = sides[language], lines = area.value.split("\n");
        const start = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
        area.focus({preventScroll: true});
        area.setSelectionRange(start, start);
        area.scrollTop = Math.max(0, (tops[line - 1] || 0) - area.clientHeight / 4);
        area.scrollIntoView({block: "nearest"});
        showInPreview(language);
    }
    function toCounterpart(language, unit) {
        const other = sides[language].other, found = unit && unitOf(other, unit.number);
        if (found) toLine(other, found.line);
    }
    let moved = null, release = 0;
    function follow(language) {
        const {area, marks, tops, other} = sides[language];
        marks.style.transform = `translateY(${-area.scrollTop}px)`;
        if (!together || (moved && moved !== language)) return;
        const line = tops.findIndex((top, index) => (tops[index + 1] ?? Infinity) > area.scrollTop) + 1;
        const here = unitAt(language, line), there = here && unitOf(other, here.number);
        if (!there) return;
        moved = language;
        clearTimeout(release);
        release = setTimeout(() => { moved = null; }, 120);
        sides[other].area.scrollTop = (sides[other].tops[there.line - 1] || 0) + area.scrollTop - (tops[here.line - 1] || 0);
    }
    function showInPreview(language) {
        if (panel !== "preview") return;
        const unit = unitAt(language, lineOf(sides[language].area));
        for (const [code, page] of Object.entries(pages)) {
            const clause = unit && document.getElementById(`preview-${code}-${unit.number}`);
            if (clause) page.scrollTop = clause.offsetTop - page.offsetTop - 8;
        }
    }

    // Ask the site for the preview and the findings.
    function posted(extra) {
        const fields = new FormData();
        for (const [name, value] of new FormData(form)) {
            if (/^(csrfmiddlewaretoken|token|(body|summary|approval)_(kk|ru)|prevailing_language|notice_days|grace_days|retention_years|material)$/.test(name)) fields.append(name, value);
        }
        for (const [name, value] of Object.entries(extra)) fields.set(name, value);
        return fields;
    }
    async function ask(address, extra, again = true) {
        const answer = await fetch(address, {method: "POST", body: posted(extra), headers: {"Accept": "application/json"}});
        const type = answer.headers.get("Content-Type") || "";
        if (type.startsWith("application/json")) return answer.json();
        if (answer.status === 403 && again && await renewed()) return ask(address, extra, false);
        throw Object.assign(new Error(String(answer.status)), {refused: answer.status === 403});
    }
    async function renewed() {
        // After a login in another tab, the CSRF token of this form is no longer valid. Get the new one.
        const answer = await fetch(location.href, {headers: {"Accept": "text/html"}});
        const there = new DOMParser().parseFromString(await answer.text(), "text/html");
        const token = there.querySelector("[name=csrfmiddlewaretoken]");
        if (token) form.elements.csrfmiddlewaretoken.value = token.value;
        return Boolean(token);
    }
    async function check() {
        const turn = ++checks;
        let answer;
        try {
            answer = await ask(labels.check, panel === "changes" ? {changes: "1"} : {});
        } catch {
            status.textContent = labels.offline;
            return;
        }
        if (turn !== checks) return;
        if (answer.sentence) {
            status.textContent = answer.sentence;
            return;
        }
        ({texts, messages} = answer);
        status.textContent = answer.summary;
        for (const language of languages) {
            measure(language);
            draw(language);
            list(language);
            page(language, answer.changes[language]);
        }
        for (const [name, tab] of Object.entries(tabs)) tab.setAttribute("aria-pressed", String(panel === name));
        shown.hidden = !panel;
    }
    function list(language) {
        const own = messages.filter((message) => message.language === language || (!message.language && language === "kk"));
        sides[language].findings.replaceChildren(...own.map((message) => {
            const item = make("li", `agreement-${message.severity}`);
            const place = message.line ? `${labels.line} ${message.line}` : message.language ? "" : labels.both;
            const button = make("button", "agreement-to", [place, message.sentence].filter(Boolean).join(": "));
            button.type = "button";
            button.addEventListener("click", () => toLine(language, message.line || 1));
            item.append(button, make("span", "agreement-hint", ` ${message.hint}`));
            return item;
        }));
        sides[language].findings.lang = document.documentElement.lang;
    }
    function page(language, changes) {
        const target = pages[language], place = target.scrollTop;
        if (panel === "changes") {
            target.innerHTML = changes ? changes.html : "";
            target.prepend(make("p", "agreement-changes-summary", changes ? changes.summary : labels.none));
        } else {
            target.innerHTML = texts[language].html;
            target.prepend(make("h3", "", texts[language].title));
            // Both previews are on the same page, so their anchors must differ.
            for (const element of target.querySelectorAll("[id]")) element.id = `preview-${language}-${element.id}`;
            for (const link of target.querySelectorAll("a[href^='#']")) link.hash = `preview-${language}-${link.hash.slice(1)}`;
        }
        target.scrollTop = place;
    }

    // Store unsaved text, and warn before the page is closed.
    let soon = 0, later = 0;
    // Word pastes a line break (Shift+Enter) as a vertical tab. The server makes it a line end, so lines are counted alike.
    function breakLines(area) {
        if (!/[\v\f\u2028\u2029]/.test(area.value)) return;
        const {selectionEnd, scrollTop} = area;
        area.value = area.value.replace(/[\v\f\u2028\u2029]/g, "\n");
        area.setSelectionRange(selectionEnd, selectionEnd);
        area.scrollTop = scrollTop;
    }
    function changed() {
        dirty = true;
        clearTimeout(soon);
        soon = setTimeout(check, 500);
        keepLater();
    }
    function keepLater() {
        clearTimeout(later);
        later = setTimeout(async () => {
            if (document.getElementById("agreement-slot")) { // The author must first decide about the stored text.
                stored.textContent = labels.undecided;
                return;
            }
            try {
                const answer = await ask(labels.autosave, {});
                stored.textContent = answer.sentence;
            } catch {
                stored.textContent = labels.offline;
            }
        }, Number(labels.pause || 3000));
    }
    form.addEventListener("input", (event) => { if (!(event.target.id || "").startsWith("id_body_")) { dirty = true; keepLater(); } });
    form.addEventListener("submit", async (event) => {
        clearTimeout(later);
        if (sure || !dirty) {
            saving = true;
            return;
        }
        // If the user is logged out, the browser would show the login page, and the text would be lost.
        event.preventDefault();
        if (saving) return;
        saving = true;
        try {
            await ask(labels.check, {});
            sure = true;
        } catch (error) {
            sure = Boolean(error.refused); // The page that refuses the save displays the text.
        }
        if (sure) {
            form.requestSubmit(event.submitter);
        } else {
            saving = false;
            stored.textContent = labels.offline;
            stored.scrollIntoView({block: "center"});
        }
    });
    addEventListener("beforeunload", (event) => { if (dirty && !saving) event.preventDefault(); });
    const discard = document.getElementById("agreement-discard");
    if (discard) {
        discard.addEventListener("click", async () => {
            await ask(labels.autosave, {discard: "1"});
            document.getElementById("agreement-slot").remove();
            if (dirty) keepLater();
        });
    }
    if ("unsaved" in labels) { // A save was refused, so the text is only on this page.
        dirty = true;
        keepLater();
    }
    check();
})();
