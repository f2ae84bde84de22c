/**
 * One question and one answer in JSON over HTTP, to a service that is not trusted further than it must be: the answer is
 * read up to a bound, redirects are refused (they could lead anywhere with the key in hand), and what the service says
 * in words is not repeated, because it may quote the memories that were sent.
 */
import { ChrysalisError, messageOf, type ErrorCode } from '../../base/errors.ts'

export interface JsonRequest {
  readonly url: string
  readonly body: unknown
  /** Sent as `authorization: Bearer …`, and shown nowhere. */
  readonly key: string | undefined
  readonly timeoutMs: number
  readonly answerBytesMax: number
  /** Aborted when the caller is closed. */
  readonly closed: AbortSignal
}

/** Particulars of a failure, in `data` of the error. */
export interface FailureData {
  /** Trying the same again soon may help. */
  readonly again: boolean
  /** The texts themselves may be the cause: others may go through. */
  readonly texts: boolean
  /** The service asks to be left alone for so long. */
  readonly afterMs?: number
}

export function failure(
  code: ErrorCode,
  message: string,
  data: Partial<FailureData> = {},
  hint = '`chrysalis embed test` tries it. Recall by keywords goes on meanwhile.'
): ChrysalisError {
  const known: FailureData = { again: false, texts: false, ...data }
  return new ChrysalisError(code, message, { hint, data: { ...known } })
}

export function failureData(error: ChrysalisError): FailureData {
  const { again, texts, afterMs } = error.data ?? {}
  return {
    again: again === true,
    texts: texts === true,
    ...(typeof afterMs === 'number' ? { afterMs } : {})
  }
}

/** Rejects with `unavailable`, `timeout` or `cancelled`, with FailureData. */
export async function postJson(request: JsonRequest): Promise<unknown> {
  const { url, key, timeoutMs, closed } = request
  const patience = AbortSignal.timeout(timeoutMs)
  try {
    const response = await fetch(url, {
      method: 'POST',
      redirect: 'manual',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json',
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` })
      },
      body: JSON.stringify(request.body),
      signal: AbortSignal.any([patience, closed])
    })
    if (!response.ok) {
      // Unread bodies hold their connection.
      await response.body?.cancel()
      throw refusal(url, response)
    }
    return parse(await readBounded(response, request.answerBytesMax), url)
  } catch (error) {
    if (error instanceof ChrysalisError) throw error
    if (closed.aborted) throw failure('cancelled', `The request to ${url} was given up.`)
    if (patience.aborted) throw failure('timeout', `${url} did not answer within ${timeoutMs} ms.`)
    const cause = error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : messageOf(error)
    throw failure('unavailable', `${url} cannot be reached: ${cause}`, { again: true })
  }
}

function refusal(url: string, response: Response): ChrysalisError {
  const { status } = response
  const says = `${url} answered with status ${status}`
  if (status >= 300 && status < 400) {
    return failure(
      'unavailable',
      `${says}, a redirect, which is not followed.`,
      {},
      'Set embed.url to the final address.'
    )
  }
  if (status === 401 || status === 403) {
    return failure('unavailable', `${says}: the key is missing or not accepted.`, {}, 'See embed.apiKeyVariable.')
  }
  if (status === 404) {
    return failure(
      'unavailable',
      `${says}: it does not know the model, or embed.url is not the address of such a service.`,
      {},
      'With Ollama: `ollama pull` the model that embed.model names.'
    )
  }
  if (status === 429) return failure('unavailable', `${says}: too many requests.`, { again: true, ...after(response) })
  if (status >= 500) return failure('unavailable', `${says}.`, { again: true, texts: true, ...after(response) })
  return failure('unavailable', `${says}: it does not take these texts.`, { texts: true })
}

function after(response: Response): { afterMs?: number } {
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
  return Number.isFinite(seconds) && seconds >= 0 ? { afterMs: Math.round(seconds * 1_000) } : {}
}

async function readBounded(response: Response, bytesMax: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  let length = 0
  for await (const piece of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    length += piece.length
    // Leaving the loop cancels the body.
    if (length > bytesMax) throw failure('unavailable', `${response.url} answered with more than ${bytesMax} bytes.`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces, length)
}

function parse(bytes: Uint8Array, url: string): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as unknown
  } catch {
    throw failure('unavailable', `${url} answered with something that is not JSON.`, { texts: true })
  }
}
