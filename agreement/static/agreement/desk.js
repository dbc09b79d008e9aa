/* The writing page: clause numbers and findings in the margin, a bar at the bottom with the findings, the preview and the
   changes, two texts that scroll together, and storage for unsaved text. Without this script the page is an ordinary form
   of the admin. */
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
    let texts = {}, messages = [], changes = {}, checks = 0, saving = false, sure = false, dirty = false, together = true, panel = "";

    // Each text has a margin and a list of findings.
    for (const language of languages) {
        const area = document.getElementById(`id_body_${language}`);
        if (!area) return;
        const editor = make("div", "agreement-editor"), margin = make("div", "agreement-margin");
        const marks = make("div", "agreement-marks"), mirror = make("div", "agreement-mirror");
        const glass = make("div", "agreement-glass"), band = make("div", "agreement-band");
        for (const it of [margin, mirror, glass]) it.setAttribute("aria-hidden", "true");
        area.before(editor);
        band.hidden = true;
        glass.append(band);
        margin.append(marks);
        editor.append(margin, area, glass, mirror);
        const counterpart = make("button", "button agreement-counterpart", labels.counterpart);
        counterpart.type = "button";
        counterpart.lang = document.documentElement.lang;
        editor.after(counterpart);
        sides[language] = {area, margin, marks, mirror, band, tops: [], other: languages.find((it) => it !== language)};
        counterpart.addEventListener("click", () => toCounterpart(language, unitAt(language, lineOf(area))));
        area.addEventListener("scroll", () => follow(language), {passive: true});
        area.addEventListener("input", changed);
        for (const event of ["keyup", "click", "focus"]) area.addEventListener(event, () => mark(language));
        area.addEventListener("agreement:moved", () => { toLine(language, lineOf(area)); });
        area.addEventListener("agreement:pasted", (event) => {
            const left = event.detail.map((kind) => labels[kind]).filter(Boolean);
            if (left.length) stored.textContent = labels.left.replace("{}", left.join(", "));
        });
        new ResizeObserver(() => { measure(language); draw(language); }).observe(area);
    }

    // The bar at the bottom, and the panel above it, which displays one thing at a time.
    const foot = document.getElementById("agreement-foot"), bar = make("div", "agreement-bar");
    const status = make("span", "agreement-status"), stored = make("span", "agreement-stored");
    for (const it of [status, stored]) it.setAttribute("role", "status");
    const shown = make("div", "agreement-panel"), pages = {}, tabs = {};
    shown.id = "agreement-panel";
    for (const name of ["findings", "preview", "changes"]) {
        tabs[name] = make("button", "button", labels[name]);
        tabs[name].type = "button";
        tabs[name].setAttribute("aria-controls", shown.id);
        tabs[name].addEventListener("click", () => open(panel === name ? "" : name));
    }
    const step = make("label", "agreement-together", ` ${labels.together}`), tick = make("input");
    tick.type = "checkbox";
    tick.checked = together;
    tick.addEventListener("change", () => { together = tick.checked; });
    step.prepend(tick);
    bar.append(tabs.findings, status, tabs.preview, tabs.changes, step, stored);
    for (const language of ["both", ...languages]) {
        const page = make("div", `agreement-preview agreement-${language}`);
        page.tabIndex = 0;
        page.setAttribute("role", "region");
        page.setAttribute("aria-label", labels[language]);
        pages[language] = page;
        shown.append(page);
    }
    foot.prepend(shown, bar);
    shown.addEventListener("keydown", (event) => {
        if (event.key !== "Escape" || !panel) return;
        tabs[panel].focus();
        open("");
    });
    // What has the focus is never below the bar.
    new ResizeObserver(() => { document.documentElement.style.scrollPaddingBottom = `${foot.offsetHeight + 8}px`; }).observe(foot);
    open("");

    function open(name) {
        panel = name;
        for (const [key, tab] of Object.entries(tabs)) tab.setAttribute("aria-expanded", String(panel === key));
        shown.hidden = !panel;
        if (panel === "changes") check();
        else fill();
    }

    // Line numbers and positions.
    function lineOf(area) {
        const {value, selectionStart} = area;
        let line = 1;
        for (let at = value.indexOf("\n"); at >= 0 && at < selectionStart; at = value.indexOf("\n", at + 1)) line++;
        return line;
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
                sign.addEventListener("click", () => toLine(language, line, message));
                at(line).prepend(sign);
            }
        }
        marks.replaceChildren(...byLine.values());
        marks.style.transform = `translateY(${-area.scrollTop}px)`;
    }
    function toLine(language, line, message) {
        const {area, tops} = sides[language], lines = area.value.split("\n");
        const start = lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0);
        const [from, to] = message ? quoted(message.sentence, lines[line - 1] || "") : [0, 0];
        area.focus({preventScroll: true});
        area.setSelectionRange(start + from, start + to);
        area.scrollTop = Math.max(0, (tops[line - 1] || 0) - area.clientHeight / 4);
        area.scrollIntoView({block: "nearest"});
        mark(language);
    }
    function quoted(sentence, line) {
        // The place in the line of the first words that the finding quotes; its beginning if the line has none of them.
        for (const [, words] of sentence.matchAll(/[«“]([^«»“”]+?)…?[»”]/g)) {
            const at = line.indexOf(words);
            if (at >= 0) return [at, at + words.length];
        }
        return [0, 0];
    }
    function toCounterpart(language, unit) {
        const other = sides[language].other, found = unit && unitOf(other, unit.number);
        if (found) toLine(other, found.line);
    }
    let moved = null, release = 0;
    function follow(language) {
        const {area, marks, band, tops, other} = sides[language];
        marks.style.transform = band.style.transform = `translateY(${-area.scrollTop}px)`;
        if (!together || (moved && moved !== language)) return;
        const line = tops.findIndex((top, index) => (tops[index + 1] ?? Infinity) > area.scrollTop) + 1;
        const here = unitAt(language, line), there = here && unitOf(other, here.number);
        if (there) scrollTo(language, other, (sides[other].tops[there.line - 1] || 0) + area.scrollTop - (tops[here.line - 1] || 0));
    }
    function scrollTo(language, other, top) {
        // The text that is scrolled here must not scroll the first one back.
        moved = language;
        clearTimeout(release);
        release = setTimeout(() => { moved = null; }, 120);
        sides[other].area.scrollTop = top;
    }
    // The clause at the cursor, and the same clause in the other language.
    let marked = "";
    function mark(language, again = false) {
        const unit = unitAt(language, lineOf(sides[language].area)), key = unit ? `${language} ${unit.line} ${unit.number}` : "";
        if (key === marked && !again) return;
        marked = key;
        const {area, other} = sides[language], there = unit && unitOf(other, unit.number);
        cover(language, unit);
        const [top, bottom] = cover(other, there), beside = sides[other].area;
        if (there && together && !again && (top < beside.scrollTop || Math.min(bottom, top + 60) > beside.scrollTop + beside.clientHeight)) {
            scrollTo(language, other, top - Math.max(0, (sides[language].tops[unit.line - 1] || 0) - area.scrollTop));
        }
        showInPreview(unit);
    }
    function cover(language, unit) {
        const {band, tops, area} = sides[language], {units} = texts[language] || {units: []};
        band.hidden = !unit;
        if (!unit) return [0, 0];
        const next = units[units.indexOf(unit) + 1], top = tops[unit.line - 1] || 0;
        const bottom = next ? tops[next.line - 1] || top : area.scrollHeight;
        band.style.top = `${top}px`;
        band.style.height = `${bottom - top}px`;
        band.style.transform = `translateY(${-area.scrollTop}px)`;
        return [top, bottom];
    }
    function showInPreview(unit) {
        if (panel !== "preview") return;
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
        } catch (error) {
            status.textContent = error.refused ? labels.refused : labels.offline;
            return;
        }
        if (turn !== checks) return;
        if (answer.sentence) {
            status.textContent = answer.sentence;
            return;
        }
        ({texts, messages, changes} = answer);
        status.textContent = answer.summary;
        status.classList.toggle("agreement-alarm", messages.some((message) => message.severity === "error"));
        for (const language of languages) {
            sides[language].area.agreementUnits = texts[language].units;
            measure(language);
            draw(language);
        }
        fill();
        const active = languages.find((language) => sides[language].area === document.activeElement);
        if (active) mark(active, true);
    }
    function fill() {
        if (!panel || !texts.kk) return;
        // Findings about both texts have a place of their own, if there are any.
        pages.both.hidden = panel !== "findings" || messages.every((message) => message.language);
        for (const language of pages.both.hidden ? languages : ["both", ...languages]) {
            const target = pages[language], place = target.scrollTop;
            target.lang = panel === "findings" ? document.documentElement.lang : language;
            target.classList.toggle("agreement-found", panel === "findings");
            if (panel === "findings") list(language, target);
            else page(language, target);
            target.scrollTop = place;
        }
    }
    function list(language, target) {
        const own = messages.filter((message) => (message.language || "both") === language);
        const kinds = new Map(), findings = make("ul", "agreement-findings");
        for (const message of own) kinds.set(message.id, [...(kinds.get(message.id) || []), message]);
        for (const [first, ...others] of kinds.values()) {
            const item = entry(language, first);
            if (others.length) {
                // Messages of one kind are one line, which opens.
                const more = make("details"), inner = make("ul", "agreement-findings");
                inner.append(...others.map((message) => entry(language, message)));
                more.append(make("summary", "", labels.more.replace("{}", others.length)), inner);
                item.append(more);
            }
            findings.append(item);
        }
        target.classList.toggle("agreement-empty", !own.length);
        target.replaceChildren(make("h3", "", labels[language]), own.length ? findings : make("p", "", labels.unfound));
    }
    function entry(language, message) {
        const item = make("li", `agreement-${message.severity}`), button = make("button", "agreement-to", "");
        const lineName = (line) => labels.line.replace("{}", line), code = message.language || "kk";
        // The text has no numbers of lines beside it. The heading above the list names the language.
        const place = message.language ? message.place.split(", ").slice(1).join(", ") : message.place;
        button.type = "button";
        button.textContent = [place || (message.line && lineName(message.line)), message.sentence].filter(Boolean).join(": ");
        button.addEventListener("click", () => toLine(code, message.line || 1, message));
        item.append(button);
        for (const line of [...message.lines.slice(1, 8), message.first].filter(Boolean)) {
            const link = make("button", "agreement-to", lineName(line));
            link.type = "button";
            link.addEventListener("click", () => toLine(code, line, message));
            item.append(" ", link);
        }
        item.append(make("span", "agreement-hint", ` ${message.hint}`));
        return item;
    }
    function page(language, target) {
        target.classList.remove("agreement-empty");
        if (panel === "changes") {
            target.innerHTML = changes[language] ? changes[language].html : "";
            target.prepend(make("p", "agreement-changes-summary", changes[language] ? changes[language].summary : labels.none));
            return;
        }
        target.innerHTML = texts[language].html;
        target.prepend(make("h3", "", texts[language].title));
        // Both previews are on the same page, so their anchors must differ.
        for (const element of target.querySelectorAll("[id]")) element.id = `preview-${language}-${element.id}`;
        for (const link of target.querySelectorAll("a[href^='#']")) link.hash = `preview-${language}-${link.hash.slice(1)}`;
    }

    // Store unsaved text, and warn before the page is closed.
    let soon = 0, later = 0;
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
            } catch (error) {
                stored.textContent = error.refused ? labels.refused : labels.offline;
            }
        }, Number(labels.pause || 3000));
    }
    form.addEventListener("input", (event) => { if (!(event.target.id || "").startsWith("id_body_")) changed(); });
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
