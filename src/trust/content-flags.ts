/**
 * What is odd about a text that claims to be knowledge: it speaks in orders to whoever reads it, or it holds characters
 * that a reader cannot see. A flag is a hint for ranking and for people who review; nothing is refused or changed for
 * it, since a text about attacks looks much like one. Derived at reading, never stored.
 *
 * The sentences are English; orders in other languages are not found. What is shown to a model is stripped and fenced
 * elsewhere (base/fence.ts), whether it was flagged or not.
 */

export const CONTENT_FLAGS = ['imperative', 'hidden-unicode', 'control-characters'] as const
export type ContentFlag = (typeof CONTENT_FLAGS)[number]

/**
 * Phrases that turn on the reader: taking back earlier instructions, a new role, orders of silence towards the user,
 * markup of prompts, and calls to hand over secrets. Matched against the text in lower case; a flag for case and one for
 * Unicode would make it ten times slower, and it looks at every text there is. All repetitions are bounded.
 */
const IMPERATIVE = new RegExp(
  [
    String.raw`(?:ignore|disregard|forget|override)\b[^.\n]{0,40}\b(?:previous|prior|earlier|above|all|any|your|other)\b[^.\n]{0,40}\b(?:instructions?|prompts?|rules?|messages?|guidelines?|memor(?:y|ies))\b`,
    String.raw`you (?:are now|(?:must|have to) (?:always|never|now|immediately))\b`,
    String.raw`(?:always|never) (?:tell|inform|ask|mention to|reveal to) the user\b`,
    String.raw`(?:do not|don't|never) (?:tell|inform|mention|reveal|show|warn)\b[^.\n]{0,30}\b(?:user|human|operator|owner)\b`,
    String.raw`(?:new|updated|real) (?:system )?(?:instructions?|prompt)\s{0,3}:`,
    String.raw`system (?:prompt|message|override)\s{0,3}:`,
    String.raw`<\/?(?:system|assistant|instructions?|tool_call|important)\b[^>]{0,80}>`,
    String.raw`\[(?:\/?inst|system)\]`,
    String.raw`<\|(?:im_start|im_end|system|assistant|endoftext)\|>`,
    String.raw`(?:send|post|upload|forward|exfiltrate|email)\b[^.\n]{0,60}\b(?:passwords?|credentials?|secrets?|api keys?|tokens?|private keys?|environment variables?)\b`,
    String.raw`when(?:ever)? you (?:read|see|recall|retrieve) this\b`
  ].join('|')
)

/** Anything beyond plain ASCII and the usual white space: most texts have none of it, and need no closer look. */
const UNUSUAL = /[^\x20-\x7e\t\n\r]/

/**
 * Zero-width characters, overrides of direction, invisible operators, fillers, soft hyphens, the later variation
 * selectors, and the tag block, in which a whole hidden sentence can be written. The joiners are in honest use between
 * emoji and in scripts that join letters.
 */
const HIDDEN = new RegExp(
  String.raw`[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\u{e0000}-\u{e007f}\u{e0100}-\u{e01ef}]` +
    String.raw`|(?<![\p{L}\p{M}\p{Extended_Pictographic}\ufe0f\u{1f3fb}-\u{1f3ff}])[\u200c\u200d]` +
    String.raw`|(?<=[\p{sc=Latn}\p{sc=Cyrl}\p{sc=Grek}\p{sc=Han}\p{sc=Hira}\p{sc=Kana}\p{sc=Hang}])[\u200c\u200d]`,
  'u'
)

/** C0 but tab and line ends, DEL, and C1: what moves the cursor or colours a terminal. */
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/

const NONE: readonly ContentFlag[] = []

/** In the order of CONTENT_FLAGS; the same empty list for all texts that have none. */
export function contentFlags(text: string): readonly ContentFlag[] {
  const imperative = IMPERATIVE.test(text.toLowerCase())
  const unusual = UNUSUAL.test(text)
  const hidden = unusual && HIDDEN.test(text)
  const control = unusual && CONTROL.test(text)
  if (!imperative && !hidden && !control) return NONE
  const flags: ContentFlag[] = []
  if (imperative) flags.push('imperative')
  if (hidden) flags.push('hidden-unicode')
  if (control) flags.push('control-characters')
  return flags
}
