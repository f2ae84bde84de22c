/**
 * The local door: newline-delimited JSON-RPC 2.0 on a Unix socket (a named pipe on Windows). It listens, counts and
 * closes; one client is rpc/connection, one request rpc/dispatch. Whoever can open the socket is the owner of the
 * daemon: there is no other authentication, which is why rpc/socket-file is so particular.
 */
import net from 'node:net'
import { ChrysalisError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import type { NodeApi } from '../node/api.ts'
import type { Logger } from '../ports/logger.ts'
import type { Metrics } from '../ports/metrics.ts'
import { Connection, DOOR_TIMING, type DoorTiming } from './connection.ts'
import type { Control } from './control.ts'
import { encodeFrame } from './framing.ts'
import { errorFrame, toWireError } from './messages.ts'
import { bindPrivately, checkPathLength, checkSocketMode, clearStale, isPipe, secureDirectory } from './socket-file.ts'

export interface RpcServerOptions {
  /** Absolute, at most LIMITS.socketPathBytesMax bytes, in a directory that is 0700 or does not exist yet. */
  readonly path: string
  readonly node: NodeApi
  readonly control: Control
  readonly logger?: Logger
  readonly metrics?: Metrics
  /** Shorter times for tests. */
  readonly timing?: Partial<DoorTiming>
}

export interface RpcServer {
  readonly path: string
  /** Clients connected now. */
  clients(): number
  /** Takes no more requests, lets those in flight finish (for a bounded time), then closes. Idempotent. */
  close(): Promise<void>
}

/** Rejects with `config` (path too long), `permissions`, `home_locked` or `unavailable`; then nothing listens. */
export async function startRpcServer(options: RpcServerOptions): Promise<RpcServer> {
  const { path, node, control, logger, metrics } = options
  const timing: DoorTiming = { ...DOOR_TIMING, ...options.timing }
  const connections = new Set<Connection>()
  const turnedAway = new Set<net.Socket>()
  const refused = (what: string): void => {
    metrics?.count(`chrysalis_rpc_refused_${what}_total`)
    logger?.log('debug', 'a client was refused', { what })
  }

  // Half-open sockets are allowed so that a caller that says all it has and then listens still gets its answers.
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    if (connections.size >= LIMITS.rpcClientsMax) {
      refused('clients')
      turnAway(socket, turnedAway, timing.closeMs)
      return
    }
    const connection = new Connection({ socket, node, control, timing, refused })
    connections.add(connection)
    metrics?.gauge('chrysalis_rpc_clients_count', connections.size)
    socket.once('close', () => {
      connections.delete(connection)
      metrics?.gauge('chrysalis_rpc_clients_count', connections.size)
    })
  })
  await listenPrivately(server, path)
  server.on('error', (error) => logger?.log('error', 'the local door failed', { reason: error.message }))

  let closed: Promise<void> | undefined
  const close = async (): Promise<void> => {
    const ended = new Promise<void>((resolve) => server.close(() => resolve()))
    for (const socket of turnedAway) socket.destroy()
    await Promise.all([...connections].map((connection) => connection.close()))
    await ended
  }
  return { path, clients: () => connections.size, close: () => (closed ??= close()) }
}

/** Binds a private socket where nobody else answers. Rejects as `startRpcServer` does; then nothing listens. */
export async function listenPrivately(server: net.Server, path: string): Promise<void> {
  checkPathLength(path)
  if (!isPipe(path)) {
    secureDirectory(path)
    await clearStale(path)
  }
  const listening = new Promise<void>((resolve, reject) => {
    server.once('listening', resolve)
    server.once('error', (error: NodeJS.ErrnoException) => reject(cannotListen(path, error)))
  })
  bindPrivately(path, () => server.listen(path))
  await listening
  server.removeAllListeners('error')
  try {
    checkSocketMode(path)
  } catch (error) {
    server.close()
    throw error
  }
}

function cannotListen(path: string, error: NodeJS.ErrnoException): ChrysalisError {
  if (error.code === 'EADDRINUSE') {
    return new ChrysalisError('home_locked', `Another daemon has just taken ${path}.`, {
      hint: 'Use it as it is, or stop it first: chrysalis stop',
      cause: error
    })
  }
  return new ChrysalisError('unavailable', `The socket ${path} could not be opened: ${error.message}`, {
    hint: 'Check the directory and its permissions, or set rpc.socket to another path.',
    cause: error
  })
}

/**
 * Says why, and reads on for a moment: a client cut off while it writes would see a broken pipe instead of the reason.
 * Those who wait for their reason are bounded too; beyond that they are cut off.
 */
function turnAway(socket: net.Socket, turnedAway: Set<net.Socket>, lingerMs: number): void {
  socket.on('error', () => socket.destroy())
  if (turnedAway.size >= LIMITS.rpcClientsMax) {
    socket.destroy()
    return
  }
  turnedAway.add(socket)
  const timer = setTimeout(() => socket.destroy(), lingerMs)
  socket.once('close', () => {
    clearTimeout(timer)
    turnedAway.delete(socket)
  })
  const error = new ChrysalisError('rate_limited', `${LIMITS.rpcClientsMax} clients are connected already.`, {
    hint: 'Close one, or share a connection: a client can have many requests in flight.'
  })
  socket.resume()
  socket.end(encodeFrame(errorFrame(null, toWireError(error))))
}
