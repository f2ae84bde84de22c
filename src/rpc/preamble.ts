/**
 * The first line each way between a byte pipe and the door for models: the pipe says which profiles, which space and
 * which token, and the daemon says yes, or why not. After that the connection belongs to the Model Context Protocol and
 * neither side looks into it again.
 *
 * It stands in this room because the pipe is the command line's and the door is the daemon's.
 */
import { ChrysalisError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { encodeFrame, parseFrame } from './framing.ts'
import { fromWireError, isObject, toWireError } from './messages.ts'

/** Raised when an old daemon could misunderstand a new line. */
const PREAMBLE_VERSION = 1

export interface Preamble {
  readonly profiles: readonly string[]
  readonly space?: string
  readonly token?: string
}

const KNOWN = new Set(['chrysalis', 'profiles', 'space', 'token'])

export function encodePreamble({ profiles, space, token }: Preamble): Uint8Array {
  return encodeFrame({
    chrysalis: PREAMBLE_VERSION,
    profiles,
    ...(space === undefined ? {} : { space }),
    ...(token === undefined ? {} : { token })
  })
}

/** Throws `invalid_argument` or `unsupported_version`. The line is not quoted in the error: it may hold a token. */
export function decodePreamble(line: Uint8Array): Preamble {
  const frame = parseFrame(line)
  const value = frame.ok ? frame.value : undefined
  if (!isObject(value) || value['chrysalis'] === undefined) {
    throw new ChrysalisError('invalid_argument', 'The first line is not the greeting of chrysalis mcp.', {
      hint: 'Start the pipe instead of connecting to the socket: chrysalis mcp'
    })
  }
  if (value['chrysalis'] !== PREAMBLE_VERSION) {
    throw new ChrysalisError('unsupported_version', 'The daemon does not know this version of the greeting.', {
      hint: 'Use chrysalis mcp and a daemon of one version; chrysalis version prints both.'
    })
  }
  const { profiles, space, token } = value
  const named = profiles ?? ['core']
  const faulty =
    Object.keys(value).some((key) => !KNOWN.has(key)) ||
    !isTexts(named) ||
    !isTextOrAbsent(space, LIMITS.spaceNameBytesMax) ||
    !isTextOrAbsent(token, LIMITS.mcpPreambleBytesMax)
  if (faulty) throw new ChrysalisError('invalid_argument', 'The greeting holds something that does not belong there.')
  return {
    profiles: named,
    ...(typeof space === 'string' ? { space } : {}),
    ...(typeof token === 'string' ? { token } : {})
  }
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length > 0 && value.length <= 16 && value.every((one) => typeof one === 'string')
}

function isTextOrAbsent(value: unknown, lengthMax: number): boolean {
  return value === undefined || (typeof value === 'string' && value !== '' && value.length <= lengthMax)
}

export function encodeWelcome(): Uint8Array {
  return encodeFrame({ chrysalis: PREAMBLE_VERSION, ok: true })
}

export function encodeRefusal(error: unknown): Uint8Array {
  return encodeFrame({ chrysalis: PREAMBLE_VERSION, ok: false, error: toWireError(error) })
}

/** Throws what the daemon refused with. */
export function decodeWelcome(line: Uint8Array): void {
  const frame = parseFrame(line)
  const value = frame.ok ? frame.value : undefined
  if (isObject(value) && value['ok'] === true) return
  if (isObject(value) && value['ok'] === false) throw fromWireError(value['error'])
  throw new ChrysalisError('unsupported_version', 'What answered is not the door for models.', {
    hint: 'Use chrysalis mcp and a daemon of one version; chrysalis version prints both.'
  })
}
