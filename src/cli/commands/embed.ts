/** The verb about embeddings: how the embedder stands, and whether it answers. */
import { Argument, type Command } from 'commander'
import type { Context, Outcome } from '../context.ts'
import { fields } from '../format.ts'
import { usage } from '../values.ts'
import type { Wrap } from './register.ts'

type What = 'status' | 'test'

async function embed(context: Context, what: What, text: string | undefined): Promise<Outcome> {
  if (what === 'status' && text !== undefined) throw usage('embed status takes no text.', 'See: chrysalis help embed')
  return what === 'status' ? status(context) : test(context, text)
}

async function status(context: Context): Promise<Outcome> {
  const client = await context.daemon()
  const data = await client.call('embed.status', {})
  if (data.provider === 'off') {
    return { data, lines: ['There is no embedder: recall goes by words alone. Set embed.provider to have one.'] }
  }
  const waiting = data.waiting === 0 ? 'none' : String(data.waiting)
  const rows: (readonly [string, string])[] = [
    ['provider', data.provider],
    ['model', data.model ?? ''],
    ['dimensions', data.dimensions === null ? 'not known yet' : String(data.dimensions)],
    ['state', data.reason === null ? data.state : `${data.state}: ${data.reason}`],
    ['texts', `${data.texts}, with a vector: ${data.indexed}`],
    ['waiting', waiting]
  ]
  if (data.refused > 0) rows.push(['refused', `${data.refused}, until the next start`])
  return { data, lines: fields(rows) }
}

async function test(context: Context, text: string | undefined): Promise<Outcome> {
  const client = await context.daemon()
  const data = await context.terminal.during(
    'asking the embedder',
    client.call('embed.test', text === undefined ? {} : { text })
  )
  return {
    data,
    lines: [`${data.model} answered in ${Math.round(data.tookMs)} ms with ${data.dimensions} components.`]
  }
}

export function registerEmbedVerb(program: Command, wrap: Wrap): void {
  program
    .command('embed')
    .description('The model behind the likeness of meaning: how it stands, and whether it answers')
    .addArgument(new Argument('[what]', 'what about it').choices(['status', 'test']).default('status'))
    .argument('[text]', 'for test: what to embed')
    .action(wrap((context, what: What, text: string | undefined) => embed(context, what, text)))
}
