/* The text areas for texts of an agreement: a bar with the marks of the grammar, and pasting from Word and web pages.
   Every change is made as if it were typed, so that the browser undoes it. Without this script they are ordinary text
   areas. */
"use strict";
(() => {
    const edit = (area, start, end, text, from = start + text.length, to = from) => {
        area.focus({preventScroll: true});
        area.setSelectionRange(start, end);
        if (!document.execCommand(text ? "insertText" : "delete", false, text)) {
            area.setRangeText(text, start, end, "end");
            area.dispatchEvent(new Event("input", {bubbles: true}));
        }
        area.setSelectionRange(from, to);
    };

    // The marks of the grammar.
    const NUMBERED = /^\s*(?:#{1,6}\s+)?(?:\*\*)?\d+(?:\.\d+)*[.)]/, ITEM = /^(?: *[-*+•] +|\s*\(?\d+\) *)/;
    const increased = (label) => label.replace(/\d+(?=\D*$)/, (digits) => String(Number(digits) + 1));
    function lines(area) {
        // The lines that contain the selection: their beginning, their end, and their words.
        const {value, selectionStart, selectionEnd} = area, start = value.lastIndexOf("\n", selectionStart - 1) + 1;
        const until = Math.max(selectionStart, selectionEnd - (value[selectionEnd - 1] === "\n" ? 1 : 0));
        const end = value.indexOf("\n", until);
        return {start, end: end < 0 ? value.length : end, words: value.slice(start, end < 0 ? undefined : end).split("\n")};
    }
    function unitsAround(area) {
        const units = area.agreementUnits || [], at = area.value.slice(0, area.selectionStart).split("\n").length;
        return {units, at, before: units.filter((unit) => unit.line <= at)};
    }
    function nextSection(area) {
        const last = unitsAround(area).before.findLast((unit) => unit.kind === "section");
        return last ? (/\d/.test(last.label) ? increased(last.label) : "") : "1.";
    }
    function nextClause(area) {
        const {units, before} = unitsAround(area), every = units.filter((unit) => unit.kind === "clause");
        const section = before.findLast((unit) => unit.kind === "section"), last = before.findLast((unit) => unit.kind === "clause");
        const single = every.some((unit) => !/\d\.\d/.test(unit.label)), running = single && every.some((unit) => !unit.number.includes("."));
        if (last && (running || !section || last.line > section.line)) return increased(last.label);
        return single || !section ? (single ? "1." : "1.1.") : `${(section.label.match(/\d+/) || section.number.match(/\d+$/) || ["1"])[0]}.1.`;
    }
    function begin(area, mark, kinds) {
        // A line without a number becomes the new unit. After a numbered one, it is inserted below this unit.
        const {value} = area, line = lines(area), words = line.words[0], {units, at} = unitsAround(area);
        const title = !value.slice(0, line.start).trim() && words.trim();
        if (!title && !NUMBERED.test(words) && !units.some((unit) => unit.line === at)) {
            const gap = line.start && !/\n\n$/.test(value.slice(0, line.start)) ? "\n" : "";
            return edit(area, line.start, line.start, gap + mark, line.start + gap.length + mark.length + words.length);
        }
        const next = units.find((unit) => unit.line > at && kinds.includes(unit.kind));
        let end = value.length;
        if (next) end = value.split("\n").slice(0, next.line - 1).join("\n").length;
        end -= value.slice(0, end).match(/\s*$/)[0].length;
        edit(area, end, end, `\n\n${mark}`);
        area.dispatchEvent(new CustomEvent("agreement:moved"));
    }
    function listed(area, mark, own) {
        const {start, end, words} = lines(area), filled = words.filter((line) => line.trim());
        const previous = area.value.slice(0, start).trimEnd().split("\n").pop();
        if (words.length === 1 && /^\s*(?:#|\d+(?:\.\d+)*\.)/.test(words[0])) { // A clause or a heading gets its list below it.
            return edit(area, end, end, `\n\n${own.numbers ? "1) " : mark}`);
        }
        let number = own.numbers ? Number((previous.match(/^\s*(\d+)\)/) || [0, 0])[1]) : 0;
        const off = filled.length && filled.every((line) => own.test.test(line));
        const marked = words.map((line) => {
            if (off) return line.replace(ITEM, "");
            return line.trim() || words.length === 1 ? `${own.numbers ? `${++number}) ` : mark}${line.replace(ITEM, "")}` : line;
        }).join("\n");
        const gap = !off && !own.numbers && start && previous && !ITEM.test(previous) && !/\n\n$/.test(area.value.slice(0, start)) ? "\n" : "";
        edit(area, start, end, gap + marked, words.length > 1 ? start + gap.length : start + gap.length + marked.length, start + gap.length + marked.length);
    }
    const row = (cells) => `| ${cells.join(" | ")} |`;
    function tableOf(rows) {
        const width = Math.max(...rows.map((cells) => cells.length));
        const [head, ...others] = rows.map((cells) => row([...cells, ...Array(width - cells.length).fill("")]));
        return [head, `|${"---|".repeat(width)}`, ...others].join("\n");
    }
    const MARKS = {
        section: (area) => { const label = nextSection(area); begin(area, label ? `## ${label} ` : "## ", ["section", "heading"]); },
        clause: (area) => begin(area, `${nextClause(area)} `, ["section", "clause", "heading"]),
        numbers: (area) => listed(area, "", {numbers: true, test: /^\s*\d+\) /}),
        list: (area) => listed(area, "- ", {numbers: false, test: /^\s*- /}),
        bold: (area) => {
            const {value} = area;
            let {selectionStart: start, selectionEnd: end} = area;
            while (start < end && /\s/.test(value[start])) start++;
            while (end > start && /\s/.test(value[end - 1])) end--;
            const words = value.slice(start, end), around = value.slice(start - 2, start) === "**" && value.slice(end, end + 2) === "**";
            if (around && start >= 2) return edit(area, start - 2, end + 2, words, start - 2, end - 2);
            if (/^\*\*[^*]+\*\*$/.test(words)) return edit(area, start, end, words.slice(2, -2), start, end - 4);
            const bold = words ? words.replace(/^(\s*(?:\d+(?:\.\d+)*[.)] )?)(\S.*?)(\s*)$/gm, "$1**$2**$3") : "****";
            edit(area, start, end, bold, words.includes("\n") ? start : start + bold.indexOf("**") + 2, start + bold.length - (words.includes("\n") ? 0 : 2));
        },
        link: (area) => {
            const {selectionStart: start, selectionEnd: end} = area, words = area.value.slice(start, end).trim();
            if (/^(?:https?:\/\/\S+|[^\s@]+@[^\s@]+\.[^\s@]+)$/.test(words)) return edit(area, start, end, `<${words}>`);
            const at = start + words.length + 3;
            edit(area, start, end, `[${words}](https://)`, words ? at : start + 1, words ? at + 8 : start + 1);
        },
        table: (area) => {
            const {start, end, words} = lines(area), {value} = area, given = words.filter((line) => line.trim());
            const tabs = given.length > 1 && given.every((line) => line.includes("\t"));
            const text = tabs ? tableOf(given.map((line) => line.split("\t").map((cell) => escapeCell(cell.trim())))) : tableOf([["", ""], ["", ""]]);
            const at = tabs ? start : end, before = value.slice(0, at), after = value.slice(end);
            const above = !before.trim() || /\n\n$/.test(before) ? "" : before.endsWith("\n") ? "\n" : "\n\n";
            const below = !after.trim() || /^\n\n/.test(after) ? "" : after.startsWith("\n") ? "\n" : "\n\n";
            edit(area, at, end, above + text + below, at + above.length + 2);
        },
    };
    const escapeCell = (words) => words.replace(/(\\.)|\|/g, (_all, escape) => escape || "\\|");

    const template = document.getElementById("agreement-format");
    for (const area of template ? document.querySelectorAll("textarea[id^=id_body_]") : []) {
        const bar = template.content.firstElementChild.cloneNode(true), buttons = [...bar.querySelectorAll("[data-mark]")];
        const name = document.querySelector(`label[for=${area.id}]`);
        bar.setAttribute("aria-label", [bar.getAttribute("aria-label"), name && name.textContent.replace(/:\s*$/, "")].filter(Boolean).join(": "));
        bar.setAttribute("aria-controls", area.id);
        area.before(bar);
        // One stop of the Tab key. The arrows go on from there.
        const reach = (chosen) => { for (const button of buttons) button.tabIndex = button === chosen ? 0 : -1; };
        reach(buttons[0]);
        bar.addEventListener("keydown", (event) => {
            const at = buttons.indexOf(event.target), moves = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: buttons.length - 1};
            if (at < 0 || !(event.key in moves)) return;
            event.preventDefault();
            const chosen = buttons[(moves[event.key] + buttons.length) % buttons.length];
            reach(chosen);
            chosen.focus();
        });
        // The text area keeps the focus and its selection.
        bar.addEventListener("mousedown", (event) => event.preventDefault());
        for (const button of buttons) {
            button.title = (button.getAttribute("aria-keyshortcuts") || "").replace("Control", "Ctrl");
            button.addEventListener("click", () => { reach(button); MARKS[button.dataset.mark](area); });
        }
        area.addEventListener("keydown", (event) => {
            const mark = {KeyB: "bold", KeyK: "link"}[event.code];
            if (!mark || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
            event.preventDefault();
            MARKS[mark](area);
        });
    }

    // Words as Markdown that displays them, as the import of a Word file writes them.
    function escaped(words, start) {
        const marked = words.replace(/\\(?=[\\`*_{}[\]()>#+.!|<=-]|$)/gm, "\\\\").replace(/`/g, "\\`")
            .replace(/[*_]+/g, (run, at, text) => {
                const before = text.slice(at - 1, at), after = text.slice(at + run.length), single = new Set(run).size === 1;
                const sign = /^(?:[\s»”)}.,;:!?…/]|\](?!\()|$)/.test(after) || run.startsWith("____") || (run[0] === "_" && /[\p{L}\d]/u.test(before));
                return single && sign ? run : run.replace(/./g, "\\$&");
            })
            .replace(/\](?=\(\s*<?\s*(?:https?:\/\/|mailto:|tel:|[/#.]))/gi, "\\]")
            .replace(/<(?=(?:mailto:)?[^\s<>]*@|[a-z][a-z0-9+.-]*:\/\/|br\s*\/?>)/gi, "\\<")
            .replace(/&(?=(?:#\d+|#x[0-9a-f]+|[0-9a-z]+);)/gi, "&amp;");
        return marked.split("\n").map((line, index) => {
            if (index === 0 && !start) return line;
            if (/^(?:=+$|(?=[^-]*-)[-|:\s]+$|[*\s]+$)/.test(line) && line) return line.replace(/[-=*]/, "\\$&");
            return /^(?:#{1,6}\s+\S|[-*+]\s(?!\s*\d)|>[>\s"«“„])/.test(line) ? `\\${line}` : line;
        }).join("\n");
    }

    // What is pasted.
    const BLOCKS = new Set(`ADDRESS ARTICLE ASIDE BLOCKQUOTE BODY CAPTION CENTER DD DETAILS DIV DL DT FIELDSET FIGCAPTION FIGURE FOOTER FORM
        H1 H2 H3 H4 H5 H6 HEADER HR LI MAIN NAV OL P PRE SECTION SUMMARY TABLE UL`.split(/\s+/));
    const PICTURES = new Set("IMG SVG CANVAS VIDEO AUDIO OBJECT EMBED IFRAME V:SHAPE".split(" "));
    const UNREAD = new Set("SCRIPT STYLE TEMPLATE NOSCRIPT HEAD TITLE META LINK XML MATH INPUT BUTTON SELECT TEXTAREA O:WORDDOCUMENT".split(" "));
    const RAISED = {"0": "⁰", "1": "¹", "2": "²", "3": "³", "4": "⁴", "5": "⁵", "6": "⁶", "7": "⁷", "8": "⁸", "9": "⁹"};
    const LOWERED = {"0": "₀", "1": "₁", "2": "₂", "3": "₃", "4": "₄", "5": "₅", "6": "₆", "7": "₇", "8": "₈", "9": "₉"};
    const spaced = (words) => words.replace(/[ \t\r\f\u00a0]{2,}/g, " ").replace(/[ \t\r\f]/g, " ").replace(/[ \u00a0]*\n[ \u00a0]*/g, "\n").trim();
    const bullet = (label) => !/\d/.test(label) && !/^\(?\p{L}{1,5}[.)]$/u.test(label);
    const lineEnds = (text) => text.replace(/\r\n|[\r\v\f\u2028\u2029]/g, "\n");

    // Nothing of a parsed document runs or is requested. Without its styles and handlers the browser reports nothing either.
    const inert = (html) => html.replace(/<(\/?)style\b/gi, "<$1textarea").replace(/<base\b/gi, "<x-base")
        .replace(/<[a-z][^>]*>/gi, (tag) => tag.replace(/([\s/"'])(style|on\w+)(?=\s*=)/gi, "$1data-$2"));

    class Pasted {
        // Reads the HTML of a clipboard into the grammar. Only its words are read.
        constructor(plain) {
            this.printed = lineEnds(plain).split("\n").map(spaced);
            this.typed = this.printed.filter((line) => /^#{1,6} /.test(line)).length >= 3;
            this.left = new Set();
            this.lists = [];
            this.begin();
        }
        begin() {
            Object.assign(this, {blocks: [], words: "", label: "", heading: 0});
        }
        close() {
            const words = spaced(this.words);
            this.words = "";
            if (!words) return;
            const mark = "#".repeat(this.heading) + (this.heading ? " " : "") + (this.label ? `${this.label} ` : "");
            const text = this.typed ? words : escaped(words, !mark);
            this.blocks.push({text: mark + (this.heading ? text.replace(/\n/g, " ") : text), item: /^ *- $/.test(mark)});
            this.label = "";
        }
        text() {
            this.close();
            return this.blocks.map(({text, item}, at) => (at ? (item && this.blocks[at - 1].item ? "\n" : "\n\n") : "") + text).join("");
        }
        read(node, pre = false) {
            for (const child of node.childNodes) {
                if (child.nodeType === Node.TEXT_NODE) this.words += pre ? child.data : child.data.replace(/[ \t\r\n\f]+/g, " ").replace(/[\v\u2028\u2029]/g, "\n");
                if (child.nodeType === Node.ELEMENT_NODE) this.element(child, pre);
            }
        }
        element(child, pre) {
            const tag = child.tagName.toUpperCase(), style = child.getAttribute("data-style") || "";
            if (PICTURES.has(tag)) return void this.left.add("pictures");
            if (UNREAD.has(tag)) return;
            if (/mso-element:\s*comment/i.test(style)) return void this.left.add("comments");
            if (child.hidden || /display:\s*none|visibility:\s*hidden|mso-hide:\s*all/i.test(style)) {
                if (child.textContent.trim()) this.left.add("hidden");
                return;
            }
            if (["DEL", "S", "STRIKE"].includes(tag) || /text-decoration[^;]*:[^;]*line-through/i.test(style)) {
                if (child.textContent.trim()) this.left.add("struck");
                return;
            }
            if (tag === "BR") this.words += "\n";
            else if (/mso-list:\s*ignore/i.test(style)) this.number(child.textContent);
            else if (tag === "SUP" || tag === "SUB") this.raised(child, tag === "SUP" ? RAISED : LOWERED, tag === "SUP" ? "^" : "_");
            else if (tag === "TABLE") this.table(child);
            else if (tag === "LI") this.item(child);
            else if (BLOCKS.has(tag)) this.block(child, tag, pre);
            else {
                if (tag === "A" && /^(?:https?|mailto|tel):/i.test(child.getAttribute("href") || "") && !child.getAttribute("href").includes(child.textContent.trim())) this.left.add("addresses");
                this.read(child, pre);
            }
        }
        block(child, tag, pre) {
            this.close();
            const {heading} = this, list = tag === "OL" || tag === "UL";
            if (/^H[1-6]$/.test(tag)) this.heading = Math.min(6, Number(tag[1]) + 1);
            if (tag === "P" && /\bMsoTitle\b/.test(child.className)) this.heading = 1;
            if (list) this.lists.push({tag, type: child.getAttribute("type") || ((child.getAttribute("data-style") || "").match(/list-style(?:-type)?:\s*([\w-]+)/) || ["", ""])[1], next: Number(child.getAttribute("start") || 1)});
            this.read(child, pre || tag === "PRE");
            this.close();
            this.heading = heading;
            if (list) this.lists.pop();
            else if (!this.inItem) this.label = "";
        }
        number(label) {
            // Word writes the number of an automatic list, or its bullet, as words.
            const printed = spaced(label);
            if (printed) this.label = bullet(printed) ? "-" : printed;
        }
        raised(child, signs, mark) {
            const words = spaced(child.textContent);
            if (words) this.words += [...words].every((sign) => sign in signs) ? [...words].map((sign) => signs[sign]).join("") : `${mark}(${words})`;
        }
        item(child) {
            this.close();
            const list = this.lists[this.lists.length - 1] || {tag: "UL", type: "", next: 1}, {inItem} = this;
            if (child.hasAttribute("value")) list.next = Number(child.getAttribute("value")) || list.next;
            this.label = this.printedLabel(child) || this.computedLabel(list);
            if (this.label === "-") this.label = `${"    ".repeat(Math.max(0, this.lists.filter(({tag}) => tag === "UL").length - 1))}-`;
            list.next += 1;
            this.inItem = true;
            this.read(child);
            this.close();
            this.inItem = inItem;
            this.label = "";
        }
        printedLabel(child) {
            // The plain text of the clipboard has the numbers as the document prints them.
            const first = this.firstLine(child), at = first ? this.printed.findIndex((line) => line.endsWith(first)) : -1;
            if (at < 0) return "";
            const label = this.printed[at].slice(0, -first.length).trim();
            this.printed.splice(0, at + 1);
            return label && label.length < 16 && !/\s/.test(label) ? (bullet(label) ? "-" : label) : "";
        }
        firstLine(child) {
            let words = "";
            const walk = (node) => [...node.childNodes].some((it) => {
                if (it.nodeType === Node.TEXT_NODE) words += it.data.replace(/\s+/g, " ");
                if (it.nodeType !== Node.ELEMENT_NODE) return false;
                const tag = it.tagName.toUpperCase();
                return ((tag === "BR" || BLOCKS.has(tag)) && Boolean(words.trim())) || (!UNREAD.has(tag) && walk(it));
            });
            walk(child);
            return spaced(words);
        }
        computedLabel({tag, type, next}) {
            if (tag === "UL") return type === "none" ? "" : "-";
            if (type === "none") return "";
            if (type === "a" || /lower-(?:alpha|latin)/.test(type)) return `${String.fromCharCode(96 + ((next - 1) % 26) + 1)})`;
            return `${next}.`;
        }
        table(child) {
            const rows = [...child.rows];
            if (rows.length === 1 && rows[0].cells.length === 1) return this.block(rows[0].cells[0], "TD", false);
            this.close();
            const filled = [], taken = [];
            for (const [y, source] of rows.entries()) {
                const cells = [];
                for (const cell of source.cells) {
                    while (taken[y] && taken[y].has(cells.length)) cells.push("");
                    const {rowSpan, colSpan} = cell, at = cells.length, wide = Math.min(colSpan, 50);
                    for (let below = 1; below < rowSpan && y + below < rows.length; below++) {
                        taken[y + below] = taken[y + below] || new Set();
                        for (let x = at; x < at + wide; x++) taken[y + below].add(x);
                    }
                    cells.push(this.cell(cell), ...Array(wide - 1).fill(""));
                }
                if (cells.some(Boolean)) filled.push(cells);
            }
            if (filled.length) this.blocks.push({text: this.inCell ? filled.map((cells) => cells.filter(Boolean).join(" | ")).join("\n") : tableOf(filled), item: false});
            if (child.caption && spaced(child.caption.textContent)) this.blocks.splice(-1, 0, {text: escaped(spaced(child.caption.textContent), true), item: false});
        }
        cell(source) {
            const outer = {blocks: this.blocks, words: this.words, label: this.label, heading: this.heading, inCell: this.inCell, inItem: this.inItem};
            this.begin();
            this.inCell = true;
            this.read(source);
            this.close();
            const found = this.blocks.map(({text}) => text.replace(/^#+ /, "")).join("\n");
            Object.assign(this, outer);
            return escapeCell(found.replace(/\n+/g, "<br>"));
        }
    }
    function fromPlain(text) {
        // Rows of a table arrive as lines with tabs. A number and a tab begin a paragraph of a list.
        const label = /^\s*(?:[\d.]+[.)]|\(?\p{L}\)|[•·▪o§-])\t/u, found = [];
        let rows = [];
        const flush = () => {
            if (rows.length > 1) found.push(...(found.length ? [""] : []), tableOf(rows.map((line) => line.split("\t").map((cell) => escapeCell(cell.trim())))), "");
            else found.push(...rows);
            rows = [];
        };
        for (const line of [...lineEnds(text).split("\n"), null]) {
            const tabs = line === null || label.test(line) ? 0 : line.split("\t").length - 1;
            if (rows.length && tabs !== rows[0].split("\t").length - 1) flush();
            if (tabs) rows.push(line);
            else if (line !== null) found.push(line.replace(label, (mark) => `${bullet(mark.trim()) ? "-" : mark.trim()} `));
        }
        return found.join("\n").replace(/\n{3,}/g, "\n\n");
    }
    document.addEventListener("paste", (event) => {
        const area = event.target, data = event.clipboardData;
        if (!data || !area.matches || !area.matches("textarea.agreement-source") || area.readOnly) return;
        const html = data.getData("text/html"), plain = data.getData("text/plain");
        let text, left = [];
        if (html) {
            const pasted = new Pasted(plain);
            pasted.read(new DOMParser().parseFromString(inert(html), "text/html").body);
            text = pasted.text();
            left = [...pasted.left];
        } else if (/[\v\f\t\u2028\u2029]/.test(plain)) text = fromPlain(plain);
        if (text === undefined) return; // The browser inserts plain text itself.
        event.preventDefault();
        if (text.startsWith("|") && /[^\n]\n?$/.test(area.value.slice(0, area.selectionStart))) text = `\n\n${text}`;
        if (text) edit(area, area.selectionStart, area.selectionEnd, text);
        area.dispatchEvent(new CustomEvent("agreement:pasted", {bubbles: true, detail: left}));
    });
    // What is dropped or filled in can contain the line breaks of Word too. The server makes them line ends.
    document.addEventListener("input", (event) => {
        const area = event.target;
        const key = event.inputType === "insertText" && (event.data || "").length === 1;
        if (key || !area.matches("textarea.agreement-source") || !/[\v\f\u2028\u2029]/.test(area.value)) return;
        const {selectionEnd, scrollTop} = area;
        edit(area, 0, area.value.length, lineEnds(area.value), selectionEnd);
        area.scrollTop = scrollTop;
    }, true);
})();
