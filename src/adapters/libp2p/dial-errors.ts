/**
 * The failures of libp2p in words a person can act on. libp2p tells them apart by the name of the error class and by
 * the text of the socket error inside.
 */
import { ChrysalisError, isChrysalisError, messageOf } from '../../base/errors.ts'

const OTHER_NETWORK = 'The peer may belong to another network (different network key). Compare the tickets.'
const NOT_THERE = 'Check that the other daemon is running and that its address and port are right.'

/** Why a dial to `target` failed: `denied`, `timeout`, `unavailable`, or `invalid_argument` for oneself. */
export function dialError(error: unknown, target: string): ChrysalisError {
  if (isChrysalisError(error)) return error
  const name = error instanceof Error ? error.name : ''
  const text = textOf(error)
  const data = { target }
  const cause = error
  if (/dial self/i.test(text)) {
    const message = `${target} is this daemon itself. Nothing was changed.`
    return new ChrysalisError('invalid_argument', message, { hint: 'Give the address of another daemon.', data, cause })
  }
  if (name === 'DialDeniedError' || name === 'ConnectionInterceptedError') {
    const message = `${target} is banned on this daemon. Nothing was changed.`
    return new ChrysalisError('denied', message, { hint: 'The ban ends by itself after half an hour.', data, cause })
  }
  if (/ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL|ENOTFOUND/.test(text)) {
    const message = `Nobody answers at ${target}. Nothing was changed.`
    return new ChrysalisError('unavailable', message, { hint: NOT_THERE, data, cause })
  }
  if (/EncryptionFailedError|UnexpectedPeerError|InvalidCryptoExchangeError/.test(name + text)) {
    const message = `${target} did not complete the handshake. Nothing was changed.`
    return new ChrysalisError('denied', message, { hint: OTHER_NETWORK, data, cause })
  }
  if (name === 'TimeoutError' || name === 'AbortError' || /timed? ?out|aborted/i.test(text)) {
    const message = `${target} did not answer in time. Nothing was changed.`
    return new ChrysalisError('timeout', message, { hint: `${NOT_THERE} ${OTHER_NETWORK}`, data, cause })
  }
  const message = `${target} cannot be reached: ${messageOf(error)}. Nothing was changed.`
  return new ChrysalisError('unavailable', message, { hint: `${NOT_THERE} ${OTHER_NETWORK}`, data, cause })
}

/** Why no channel to `peer` was opened: `timeout`, or `unavailable` for every other reason. */
export function openError(error: unknown, peer: string): ChrysalisError {
  const known = dialError(error, peer)
  if (known.code === 'timeout' || known.code === 'unavailable') return known
  const hint = known.hint === undefined ? {} : { hint: known.hint }
  return new ChrysalisError('unavailable', known.message, { ...hint, cause: error })
}

/** The dial succeeded, but the peer closed the connection before it answered a single ping. */
export function refusedError(error: unknown, target: string): ChrysalisError {
  const message = `${target} took the connection and closed it at once. Nothing was changed.`
  return new ChrysalisError('denied', message, {
    hint: 'The peer refuses this daemon: it is full, or it has banned us; a ban ends by itself after half an hour.',
    data: { target },
    cause: error
  })
}

/** Why the host did not start: `address_in_use` naming the address, `config`, or `failure`. */
export function startError(error: unknown, listen: readonly string[]): ChrysalisError {
  if (isChrysalisError(error)) return error
  const text = textOf(error)
  const taken = listen.filter((address) => text.includes(address))
  const named = (taken.length > 0 ? taken : listen).join(', ')
  const data = { addresses: taken }
  if (text.includes('EADDRINUSE')) {
    const hint =
      'Stop the program that uses the port, or choose another one in network.listen (port 0 takes a free one).'
    const message = `The address ${named} is in use by another program. The network was not started.`
    return new ChrysalisError('address_in_use', message, { hint, data, cause: error })
  }
  if (/EACCES|EADDRNOTAVAIL|failed to be listened|Multiaddr|multiaddr/.test(text)) {
    const hint =
      'Correct network.listen; ports below 1024 need special rights, and the address must be one of this host.'
    const message = `This daemon cannot listen on ${named}. The network was not started.`
    return new ChrysalisError('config', message, { hint, data, cause: error })
  }
  return new ChrysalisError('failure', `The network did not start: ${messageOf(error)}.`, {
    hint: 'Run `chrysalis doctor`.',
    cause: error
  })
}

function textOf(error: unknown): string {
  if (error instanceof AggregateError) return `${error.message} ${error.errors.map(textOf).join(' ')}`
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}
