/** The text editor and the comparison: loaded when a text is looked at. */
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { HighlightStyle, syntaxHighlighting, type LanguageSupport } from "@codemirror/language";
import { unifiedMergeView } from "@codemirror/merge";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { EditorState, type Extension } from "@codemirror/state";
import { tags } from "@lezer/highlight";
import { EditorView, drawSelection, highlightSpecialChars, keymap, lineNumbers } from "@codemirror/view";
import { plain } from "../model/layers";

const languages: Record<string, () => Promise<LanguageSupport>> = {
  js: async () => (await import("@codemirror/lang-javascript")).javascript(),
  ts: async () => (await import("@codemirror/lang-javascript")).javascript({ typescript: true }),
  py: async () => (await import("@codemirror/lang-python")).python(),
  json: async () => (await import("@codemirror/lang-json")).json(),
  md: async () => (await import("@codemirror/lang-markdown")).markdown(),
};

const look = EditorView.theme({
  "&": { height: "100%", fontSize: "13px", backgroundColor: "transparent" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "1.55" },
  ".cm-content": { caretColor: "var(--ink)" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-gutters": { backgroundColor: "transparent", color: "var(--soft)", border: "none" },
  "&.cm-focused, &:focus-within": { outline: "2px solid var(--accent)", outlineOffset: "-2px" },
  ".cm-selectionBackground, &.cm-focused .cm-selectionBackground": { backgroundColor: "var(--glow) !important" },
  ".cm-changedLine, .cm-insertedLine": { backgroundColor: "color-mix(in srgb, var(--good) 16%, transparent) !important" },
  ".cm-deletedChunk": { backgroundColor: "color-mix(in srgb, var(--bad) 14%, transparent) !important", color: "var(--ink)" },
});

/** The page's own colours, which follow its theme. */
const inks = HighlightStyle.define([
  { tag: [tags.keyword, tags.tagName], color: "var(--accent)" },
  { tag: [tags.string, tags.url], color: "var(--good)" },
  { tag: [tags.number, tags.bool, tags.null, tags.propertyName], color: "light-dark(#0a5c96, #7cc4f2)" },
  { tag: tags.comment, color: "var(--soft)", fontStyle: "italic" },
  { tag: tags.heading, fontWeight: "700" },
  { tag: tags.emphasis, fontStyle: "italic" },
  { tag: tags.strong, fontWeight: "700" },
]);

export interface Opened {
  text(): string;
  close(): void;
}

interface Options {
  text: string;
  path: string;
  /** A text that it is compared with. */
  before?: string | undefined;
  readOnly?: boolean;
  onchange?: () => void;
  onsave?: () => void;
}

export async function open(parent: HTMLElement, options: Options): Promise<Opened> {
  const language = await languages[options.path.split(".").pop() ?? ""]?.();
  const save = { key: "Mod-s", run: () => (options.onsave?.(), true) };
  const extensions: Extension[] = [
    look,
    lineNumbers(),
    history(),
    drawSelection(),
    highlightSpecialChars(),
    highlightSelectionMatches(),
    syntaxHighlighting(inks),
    keymap.of([save, ...defaultKeymap, ...historyKeymap, ...searchKeymap]),
    EditorView.lineWrapping,
    EditorView.contentAttributes.of({ "aria-label": `Text of ${plain(options.path)}` }),
    EditorView.updateListener.of((update) => update.docChanged && options.onchange?.()),
    options.readOnly ? [EditorState.readOnly.of(true), EditorView.editable.of(false), EditorView.contentAttributes.of({ tabindex: "0" })] : [],
    options.before === undefined ? [] : unifiedMergeView({ original: options.before, mergeControls: false }),
    language ?? [],
  ];
  const view = new EditorView({ parent, state: EditorState.create({ doc: options.text, extensions }) });
  return { text: () => view.state.doc.toString(), close: () => view.destroy() };
}
