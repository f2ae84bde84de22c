/** Keys of the section `embed`: who turns memories into vectors, where, and what may be sent there. */
import { z } from 'zod'
import { LIMITS } from '../base/limits.ts'
import { choice, flag, optionalText, wholeNumber, type KeySpec } from './config-words.ts'

/** A password in an address ends up in logs. */
const httpUrl = z.url({ protocol: /^https?$/ }).refine((text) => !/^[^/]*\/\/[^/]*@/.test(text))

export const embed = {
  provider: choice('off', ['off', 'ollama', 'openai', 'client'], {
    meaning:
      'Who turns memories into vectors, so that recall finds what is meant and not only what is said. ollama: a local ' +
      'Ollama. openai: whatever speaks that API. client: processes of agents bring the vectors through the local door.',
    why: 'off, because it sends the text of memories to another process, which is for the owner to decide.'
  }),
  url: optionalText(httpUrl, 'an http or https address without a password', {
    meaning: 'Address of the service, without the path of its API.',
    why: 'Not set: where the provider usually is, http://127.0.0.1:11434 for Ollama.'
  }),
  model: {
    kind: 'text',
    schema: z.string().min(1).max(128),
    fallback: 'nomic-embed-text',
    bounds: 'text of 1 to 128 characters',
    unit: '',
    meaning: 'The model, as the service calls it. Another model embeds all memories anew, in the background.',
    why: 'Small, good, and the one Ollama users have. Vectors of two models are never compared.'
  } satisfies KeySpec<string>,
  dimensions: wholeNumber(0, 0, LIMITS.embedDimensionsMax, {
    unit: 'components',
    meaning:
      'How many components a vector has. It is asked of the service, and answers with another number are refused.',
    why: '0: as many as the model gives. Fewer take less memory and disk and tell a little less apart.'
  }),
  apiKeyVariable: optionalText(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), 'the name of an environment variable', {
    meaning: 'The environment variable that holds the key of the service. The key itself is never written anywhere.',
    why: 'Not set: no key is sent. A file that people copy is no place for a secret.'
  }),
  batch: wholeNumber(32, 1, LIMITS.embedBatchMax, {
    unit: 'texts',
    meaning: 'Texts in one request.',
    why: 'Enough to keep a model busy; a larger batch takes longer to give way to the query of somebody who waits.'
  }),
  timeoutMs: wholeNumber(30_000, 100, 600_000, {
    unit: 'milliseconds',
    meaning: 'How long a request may take.',
    why: 'The first one loads the model. No write and no recall waits for it.'
  }),
  queryTimeoutMs: wholeNumber(500, 10, 60_000, {
    unit: 'milliseconds',
    meaning: 'How long a recall waits for the vector of its query; after that it answers by words alone.',
    why: 'A loaded model needs 5 to 50. More helps where the model is slow and the asker is patient.'
  }),
  keepAlive: optionalText(z.string().regex(/^(-?\d+(ms|s|m|h)?)$/), 'a duration such as 30m, or -1', {
    meaning: 'How long Ollama keeps the model in memory after a request; -1: for ever.',
    why: 'Not set: as Ollama is configured, five minutes by default.'
  }),
  documentPrefix: optionalText(z.string().max(256), 'text of at most 256 characters', {
    meaning: 'Written before a memory when it is embedded.',
    why: 'Not set: what the model was trained with, where that is known.'
  }),
  queryPrefix: optionalText(z.string().max(256), 'text of at most 256 characters', {
    meaning: 'Written before a query when it is embedded.',
    why: 'Not set: what the model was trained with, where that is known.'
  }),
  privateSpaces: flag(false, {
    meaning:
      'Whether memories of private spaces are embedded by a service on another machine. One on this machine embeds ' +
      'them in any case.',
    why: 'A private space never leaves this machine unless its owner says so.'
  })
}
