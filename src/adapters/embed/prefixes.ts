/**
 * What some models want written before a text, so that questions and documents meet: they were trained with these words,
 * and without them find less. By the beginning of the model's name, from the models' own cards; what is not listed gets
 * nothing. The configuration can say otherwise.
 */
export interface Prefixes {
  readonly document: string
  readonly query: string
}

const KNOWN: readonly (readonly [name: RegExp, prefixes: Prefixes])[] = [
  [/^nomic-embed-text/, { document: 'search_document: ', query: 'search_query: ' }],
  [/^(.*\/)?(multilingual-)?e5-/, { document: 'passage: ', query: 'query: ' }],
  [
    /^(mxbai-embed-large|snowflake-arctic-embed)/,
    { document: '', query: 'Represent this sentence for searching relevant passages: ' }
  ]
]

export function prefixesOf(model: string): Prefixes {
  return KNOWN.find(([name]) => name.test(model))?.[1] ?? { document: '', query: '' }
}
