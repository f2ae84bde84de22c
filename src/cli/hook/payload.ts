/**
 * What a client tells its hooks: one JSON object on stdin, under names that differ from client to client. It is read as
 * far as it can be understood. A payload that is broken, too long, late or missing is an empty one, because a hook must
 * never be the reason why a session does not start.
 */
import type { Readable } from 'node:stream'

export interface Payload {
  readonly session: string | undefined
  /** What the person has just asked. */
  readonly prompt: string | undefined
  /** What the session came to, in words of the client's model. */
  readonly summary: string | undefined
}

const NAMES: Readonly<Record<keyof Payload, readonly string[]>> = {
  session: ['session_id', 'sessionId', 'conversation_id', 'thread_id', 'thread-id'],
  prompt: ['prompt', 'user_prompt', 'message'],
  summary: ['summary', 'compact_summary', 'handoff']
}

export function parsePayload(text: string): Payload {
  let said: unknown
  try {
    said = JSON.parse(text)
  } catch {
    // Half a line, or none: what it would have said is not known.
  }
  const fields = typeof said === 'object' && said !== null ? new Map(Object.entries(said)) : new Map<string, unknown>()
  const field = (name: keyof Payload): string | undefined => {
    for (const key of NAMES[name]) {
      const value: unknown = fields.get(key)
      // A text that cannot be written as UTF-8 would be refused at every door behind this one.
      if (typeof value === 'string' && value.trim() !== '') return value.replace(/\p{Surrogate}|\0/gu, '\ufffd').trim()
    }
    return undefined
  }
  return { session: field('session'), prompt: field('prompt'), summary: field('summary') }
}

/** All of the input, or what came until it had `bytesMax` bytes or the signal was given. Never rejects. */
export function readAtMost(input: Readable, bytesMax: number, signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let bytes = 0
    const finish = (): void => {
      for (const [event, listener] of listeners) input.off(event, listener)
      signal.removeEventListener('abort', finish)
      // The last bytes may be half a character; the text is then broken JSON, as it would be anyway.
      resolve(Buffer.concat(chunks).subarray(0, bytesMax).toString('utf8'))
      // An input that nobody closes must not keep the process alive.
      input.destroy()
    }
    const take = (chunk: Buffer | string): void => {
      const buffer = Buffer.from(chunk as string)
      chunks.push(buffer)
      bytes += buffer.length
      if (bytes > bytesMax) finish()
    }
    const listeners = [['data', take] as const, ['end', finish] as const, ['error', finish] as const]
    if (signal.aborted) return finish()
    signal.addEventListener('abort', finish, { once: true })
    for (const [event, listener] of listeners) input.on(event, listener)
  })
}

/** The beginning of a text that fits into so many bytes of UTF-8. */
export function cutToBytes(text: string, bytesMax: number): string {
  const bytes = Buffer.from(text, 'utf8')
  if (bytes.length <= bytesMax) return text
  let end = bytesMax
  // Back to where a character begins.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--
  return bytes.subarray(0, end).toString('utf8')
}
