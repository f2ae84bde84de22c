/**
 * Whether a text holds what looks like a secret: private keys, the tokens of well-known services, and passwords written
 * down as such. What is written here is signed, sent to every member and never deleted, so the one moment to stop a
 * password is before.
 *
 * Patterns find what has a form. A password in a sentence of its own does not, and a text that only talks about
 * passwords must not be refused: assignments need a value that looks drawn by chance. The answer names the kind and
 * never repeats the secret.
 */

interface Pattern {
  readonly kind: string
  readonly expression: RegExp
  /** A second look at the first group; the expression is global then. */
  readonly holds?: (value: string) => boolean
  readonly needsAssignment?: true
}

/** Prefixes and lengths as the services document them; `(?<![\w-])` keeps them from matching inside a longer word. */
const PATTERNS: readonly Pattern[] = [
  { kind: 'private key', expression: /-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----/ },
  { kind: 'private key', expression: /PuTTY-User-Key-File-[23]:/ },
  { kind: 'private key', expression: /(?<!\w)AGE-SECRET-KEY-1[A-Z0-9]{58}/ },
  { kind: 'AWS access key', expression: /(?<![\w-])(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}(?!\w)/ },
  { kind: 'GitHub token', expression: /(?<![\w-])(?:gh[pousr]_\w{36,255}|github_pat_\w{60,255})/ },
  { kind: 'GitLab token', expression: /(?<![\w-])glpat-[\w-]{20,}/ },
  { kind: 'Slack token', expression: /(?<![\w-])xox[abeoprs]-[\w-]{10,}/ },
  { kind: 'Slack webhook', expression: /hooks\.slack\.com\/services\/T\w{6,}\/B\w{6,}\/\w{16,}/ },
  { kind: 'Anthropic key', expression: /(?<![\w-])sk-ant-[\w-]{20,}/ },
  { kind: 'OpenAI key', expression: /(?<![\w-])sk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,}/g, holds: looksDrawn },
  { kind: 'Stripe key', expression: /(?<![\w-])[rs]k_live_[A-Za-z0-9]{16,}/ },
  { kind: 'Google API key', expression: /(?<![\w-])AIza[\w-]{35}(?![\w-])/ },
  { kind: 'npm token', expression: /(?<![\w-])npm_[A-Za-z0-9]{36}/ },
  { kind: 'Hugging Face token', expression: /(?<![\w-])hf_[A-Za-z0-9]{30,}/ },
  { kind: 'Chrysalis token', expression: /(?<![\w-])chz-tok1:[\w-]{43}/ },
  { kind: 'JSON Web Token', expression: /(?<![\w-])eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}/ },
  {
    kind: 'password in an address',
    expression: /\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s/:@]{1,80}:([^\s/@]{4,200})@/gi,
    holds: isValue,
    needsAssignment: true
  },
  {
    kind: 'password',
    expression:
      /(?<![a-z])(?:pass(?:word|wd|phrase)?|secret|api[_-]?key|access[_-]?key|auth[_-]?token|client[_-]?secret|secret[_-]?key|private[_-]?key)["']?\s{0,3}(?:=|:=|:)\s{0,3}["'`]?([^\s"'`,;]{6,200})/gi,
    holds: isValue,
    needsAssignment: true
  }
]

/** Words that stand where a value would, in examples and templates. */
const PLACEHOLDER =
  /^(?:<.*>|\$\{?\w+\}?|\{\{.*\}\}|%\w+%|x{3,}|\*{3,}|\.{3,}|(?:your|my|the|some|example|changeme|redacted|hidden|none|null|true|false|undefined|required|optional|string|process\.env|os\.environ|env\.|config\.|vault:|secret:\/\/).*)$/i

/** Assignments and addresses have one of these; a text without them need not be searched for either. */
const ASSIGNS = /[:=]/

/** The kind of the first secret found; undefined when there is none. The cost is linear in the text. */
export function secretIn(text: string): string | undefined {
  const assigns = ASSIGNS.test(text)
  for (const { kind, expression, holds, needsAssignment } of PATTERNS) {
    if (needsAssignment === true && !assigns) continue
    if (holds === undefined ? expression.test(text) : matches(text, expression, holds)) return kind
  }
  return undefined
}

/** `expression` is global: each of its matches is looked at. */
function matches(text: string, expression: RegExp, holds: (value: string) => boolean): boolean {
  expression.lastIndex = 0
  for (let match = expression.exec(text); match !== null; match = expression.exec(text)) {
    if (holds(match[1] ?? match[0])) return true
  }
  return false
}

/** A value and no word for one: `password: required` and `password: see the vault` are no secrets. */
function isValue(value: string): boolean {
  return !PLACEHOLDER.test(value) && looksDrawn(value)
}

/** Letters with digits or marks among them, or mixed within a word: what people and generators make passwords of. */
function looksDrawn(value: string): boolean {
  const digit = /\d/.test(value)
  const lower = /[a-z]/.test(value)
  const upper = /[A-Z]/.test(value.slice(1))
  const mark = /[^\w\s.()[\]{}<>/\\-]/.test(value)
  return Number(digit) + Number(lower) + Number(upper) + Number(mark) >= 2
}
