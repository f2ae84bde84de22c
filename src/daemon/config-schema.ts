/**
 * Every key of the configuration, with meaning, unit, bounds, default and the reason for the default, in one table.
 *
 * The table is the source of the validation, of the TypeScript type `Config`, of the names of the environment variables
 * and of docs/CONFIG.md, so that none of the four can drift from another. Where the values come from is the business of
 * config.ts; what they do is the business of the room that takes them.
 */
import { z } from 'zod'
import { LIMITS } from '../base/limits.ts'
import { parseAuthor } from '../base/peer-id.ts'
import { embed } from './config-embed.ts'
import { choice, flag, fraction, list, optionalText, wholeNumber, type KeySpec } from './config-words.ts'

export type { KeyKind, KeySpec } from './config-words.ts'

/** A first look only; the network adapter parses it for good and knows every protocol. */
const multiaddr = z.string().regex(/^\/(ip4|ip6|ip6zone|dns|dns4|dns6|dnsaddr)\/[^/\s]+(\/[^/\s]+)*$/)
const peerId = z.string().refine((text) => parseAuthor(text) !== undefined)
const addressesMax = LIMITS.bootstrapAddressesMax

export const PRESETS = ['local', 'lan', 'wan'] as const
export type Preset = (typeof PRESETS)[number]

const ROOT_KEYS = {
  preset: choice('lan', PRESETS, {
    meaning:
      'The set of defaults to start from, a file of the package under config/. local: this machine only. ' +
      'lan: found by others on the local network. wan: also found through a distributed address book.',
    why: 'Two daemons on one desk should meet with no configuration; nothing leaves the local network unless asked.'
  }),
  name: optionalText(
    z.string().min(1).max(LIMITS.spaceNameBytesMax),
    `text of 1 to ${LIMITS.spaceNameBytesMax} characters`,
    {
      meaning: 'What people call this daemon. Shown by `status` and nowhere trusted.',
      why: 'A daemon is its peer id; a name only helps the eye.'
    }
  )
}

const network = {
  listen: {
    ...list(multiaddr, addressesMax, 'multiaddrs such as /ip4/0.0.0.0/tcp/4001', {
      unit: 'multiaddr',
      meaning: 'Addresses on which other daemons may connect. Port 0 takes any free port.',
      why: 'The built-in default listens on loopback alone; the presets lan and wan open every interface.'
    }),
    fallback: ['/ip4/127.0.0.1/tcp/0']
  },
  announce: list(multiaddr, addressesMax, 'multiaddrs', {
    unit: 'multiaddr',
    meaning: 'Addresses told to others in place of those listened on: behind a port forwarding, in a container.',
    why: 'Empty: what is listened on is what is announced, which is right wherever nothing translates addresses.'
  }),
  fanout: wholeNumber(3, 2, 16, {
    unit: 'peers',
    meaning: 'How many peers a daemon hands each new delta on to. The gossip mesh has this plus one links.',
    why:
      'Three reaches 100,000 daemons in about ten hops. Two breaks up under loss; each one more costs a full copy ' +
      'of everything per daemon.'
  }),
  heartbeatMs: wholeNumber(500, 100, 60_000, {
    unit: 'milliseconds',
    meaning: 'How often the gossip mesh is mended. Deltas are forwarded at once and never wait for it.',
    why: 'Half a second repairs a lost link before a person notices; shorter costs CPU on idle daemons.'
  }),
  mdns: flag(false, {
    meaning: 'Find daemons on the local network by multicast DNS, and be found.',
    why: 'On in the presets lan and wan. It tells everyone on the local network that a daemon runs here.'
  }),
  dht: flag(false, {
    meaning: 'Find the addresses of daemons through a Kademlia table among the daemons themselves.',
    why: 'Only of use across networks, so only in the preset wan. It stores addresses, never memories.'
  }),
  bootstrap: list(multiaddr, addressesMax, 'multiaddrs, each best ended with /p2p/<peer id>', {
    unit: 'multiaddr',
    meaning: 'Daemons to call at start and to call again whenever they are lost. Tickets add theirs by themselves.',
    why: 'Empty: saved peers, tickets and discovery are enough on a local network.'
  }),
  connectionsMax: wholeNumber(LIMITS.connectionsMax, 8, LIMITS.connectionsMax, {
    unit: 'connections',
    meaning: 'Connections held open at once, in and out.',
    why: 'The mesh needs about five; memory grows with every connection. Fewer than 8 leaves no room for newcomers.'
  }),
  inboundConnectionsPerSecond: wholeNumber(
    LIMITS.inboundConnectionsPerSecondMax,
    1,
    LIMITS.inboundConnectionsPerSecondMax,
    {
      unit: 'connections a second from one address',
      meaning: 'Connections accepted from one address each second; more are refused before any work is done for them.',
      why: 'Daemons of one machine start together, so the default is wide; wan narrows it, for strangers can knock there.'
    }
  )
}

const sync = {
  mode: choice('streaming', ['streaming', 'batched', 'periodic'], {
    meaning:
      'When own deltas are published. streaming: at once, or after sync.flushIntervalMs for company. batched: when ' +
      'sync.batchDeltas are waiting or sync.batchIntervalMs has passed. periodic: never; reconciliation carries them.',
    why: 'Agents that work together want to see each other now. The other two save bytes on metered links.'
  }),
  importanceThreshold: fraction(0.7, {
    meaning:
      'A delta whose importance is above this is published at once in every mode but periodic; the others wait as the ' +
      'mode says. 0 publishes everything at once.',
    why: 'The specification names 0.7. In the default mode the others wait for milliseconds only, so little hangs on it.'
  }),
  batchDeltas: wholeNumber(100, 1, 10_000, {
    unit: 'deltas',
    meaning: 'In mode batched: waiting deltas at which they are published without waiting for the interval.',
    why: 'The specification names 100. Larger saves frames and makes others wait.'
  }),
  batchIntervalMs: wholeNumber(5_000, 20, 86_400_000, {
    unit: 'milliseconds',
    meaning: 'In mode batched: longest time a delta waits to be published.',
    why: 'Five seconds is short for a person and long for a radio.'
  }),
  flushIntervalMs: wholeNumber(25, 0, 1_000, {
    unit: 'milliseconds',
    meaning: 'In mode streaming: longest time a delta waits for others, so that they share one gossip frame.',
    why:
      'A frame costs about a millisecond of CPU at every daemon whatever it holds. 20 to 50 keeps bursts cheap; ' +
      '0 sends one frame for each write.'
  }),
  reconcileIntervalMs: wholeNumber(2_000, 100, 3_600_000, {
    unit: 'milliseconds',
    meaning: 'How often this daemon compares itself with one random known peer and fetches what gossip lost.',
    why: 'The specification names two seconds. Equal daemons back off by themselves, so an idle network stays quiet.'
  }),
  reconcileIntervalMsMax: wholeNumber(60_000, 100, 86_400_000, {
    unit: 'milliseconds',
    meaning: 'Longest pause between two comparisons while they keep finding nothing.',
    why: 'Bounds how late a daemon that gossip cannot reach learns of a change.'
  }),
  retries: wholeNumber(5, 0, 100, {
    unit: 'attempts',
    meaning:
      'How often an own delta that nobody is known to hold is offered again before only reconciliation carries it.',
    why: 'Gossip is the fast road, not the safe one; after five attempts the road is closed, not busy.'
  }),
  retryBackoffMs: wholeNumber(500, 10, 3_600_000, {
    unit: 'milliseconds',
    meaning: 'Pause before the first of these attempts; it doubles with each.',
    why: 'One heartbeat: what was lost while the mesh was mended goes out again at once.'
  }),
  retryBackoffMsMax: wholeNumber(60_000, 10, 86_400_000, {
    unit: 'milliseconds',
    meaning: 'Longest pause between two attempts.',
    why: 'A minute, as for reconnecting.'
  }),
  replicas: wholeNumber(1, 1, LIMITS.connectionsMax, {
    unit: 'peers',
    meaning: 'Peers that must be known to hold a memory before its state reads `synced`.',
    why: 'One other copy survives the loss of this machine. It is a label only: no write waits for it unless asked.'
  }),
  gossip: flag(true, {
    meaning:
      'Whether deltas are published and topics followed. Without it everything travels by reconciliation alone, within ' +
      'some multiples of sync.reconcileIntervalMs.',
    why: 'Gossip is how others see a change at once. Switching it off is for diagnosis and for tests.'
  }),
  reconcile: flag(true, {
    meaning:
      'Whether this daemon compares itself with others, when it is due and when it is asked. Without it everything ' +
      'travels by gossip alone, and what gossip loses stays lost.',
    why: 'Comparing is what makes all copies whole in the end. Switching it off is for diagnosis and for tests.'
  })
}

const store = {
  durability: choice('fsync', ['fsync', 'relaxed'], {
    meaning: 'fsync: an acknowledged write survives loss of power. relaxed: it survives the death of the process only.',
    why: 'Losing no acknowledged write is the first promise. relaxed is for throw-away daemons and slow disks.'
  }),
  groupCommitWindowMs: wholeNumber(0, 0, LIMITS.groupCommitWindowMs, {
    unit: 'milliseconds',
    meaning: 'How long a group of writes waits for more, so that they share one sync of the disk.',
    why:
      'Writes that arrive while one group is being written make the next, so busy daemons share syncs without waiting; ' +
      'a window only delays a lone write. Worth trying on a disk whose sync is very slow.'
  }),
  floorBytes: wholeNumber(LIMITS.diskFreeBytesMin, 0, 2 ** 40, {
    unit: 'bytes',
    meaning:
      'Free space on the disk below which nothing is written: writes are refused with `disk_full`, reading goes on. ' +
      'A twentieth of the disk is enough where that is less. 0: no floor.',
    why:
      'The store writes new files before it deletes old ones, and a database on a disk that is full to the last byte ' +
      'cannot even be opened.'
  }),
  ballastBytes: wholeNumber(LIMITS.diskBallastBytes, 0, 2 ** 30, {
    unit: 'bytes',
    meaning:
      'Size of a file in the home that is deleted when the disk is full, and made again when there is room. 0: none.',
    why: 'Others fill the disk as well, faster than a floor can tell. Twice what the store needs to close and open again.'
  })
}

const recall = {
  limit: wholeNumber(10, 1, LIMITS.recallResultsMax, {
    unit: 'memories',
    meaning: 'Answers given to a recall that does not say how many it wants.',
    why: 'What a model reads with profit in one go.'
  })
}

const index = {
  shared: flag(false, {
    meaning:
      'Whether an index is kept in the home that other processes of this machine search without asking the daemon ' +
      '(`chrysalis search --shared`, the library chrysalis/reader). Whoever may read the home may read it. false: none, ' +
      'and what an earlier run left is deleted.',
    why:
      'A search there takes a tenth of the time and goes on while the daemon is busy or gone. Off, because it costs disk, ' +
      'about a kilobyte a memory, and a fifth of a millisecond for each that changes, which only those should pay who use it.'
  }),
  private: flag(false, {
    meaning: 'Whether private spaces are in it as well.',
    why: 'Private memories are for this daemon alone. true: for a home whose private space its owner wants to search as fast.'
  })
}

const promotion = {
  threshold: fraction(0.7, {
    meaning: 'A working memory whose importance reaches this is promoted to a shared one.',
    why: 'The specification names 0.7. 0 shares everything, 1 almost nothing.'
  }),
  sessions: wholeNumber(2, 0, LIMITS.promotionSessionsMax, {
    unit: 'sessions',
    meaning: 'A working memory that was recalled in this many sessions is promoted to a shared one. 0: never for that.',
    why: 'What a second session needs is not a passing thought. 1 shares whatever is looked at.'
  })
}

const consolidation = {
  intervalMs: wholeNumber(0, 0, 604_800_000, {
    unit: 'milliseconds',
    meaning:
      'How often all spaces are consolidated in the background, as `chrysalis consolidate` does. 0: only when asked.',
    why: 'It retracts and links memories, though it can be undone: nobody should find that out by surprise.'
  })
}

const trust = {
  newcomers: choice('known', ['known', 'unknown'], {
    meaning: 'What is thought of an author nobody has said anything about with `chrysalis trust`.',
    why: 'Whoever writes here was let in with a ticket, so it is heard. `unknown` keeps newcomers out of recall until you name them.'
  })
}

const ballot = {
  voters: list(peerId, LIMITS.votersMax, 'peer ids', {
    unit: 'peer id',
    meaning: 'The roster whose votes are counted. A memory is validated by more than two thirds of it.',
    why: 'Empty: votes are kept and shown, and every tally reads `unverified`, for among open peers no share means anything.'
  })
}

const access = {
  intervalMs: wholeNumber(600_000, 1_000, 86_400_000, {
    unit: 'milliseconds',
    meaning: 'How often the number of times memories were read here is told to the others.',
    why: 'Ten minutes, so that a search never becomes a write to the network.'
  })
}

const storm = {
  writes: wholeNumber(100, 2, 1_000_000, {
    unit: 'writes',
    meaning: 'Writes to one memory within storm.windowMs that are noted in the audit log as a write storm.',
    why: 'Far above what people and single agents do. It is noted, never refused.'
  }),
  windowMs: wholeNumber(10_000, 100, 3_600_000, {
    unit: 'milliseconds',
    meaning: 'The window in which they are counted.',
    why: 'Ten seconds tell a burst from a busy day.'
  })
}

const rpc = {
  tokensRequired: flag(false, {
    meaning: 'Whether a client of the local door must show a token before anything else.',
    why: 'The socket is open to its owner only, so a client without a token is the owner. true: for homes shared by agents that must not be.'
  }),
  socket: optionalText(z.string().min(1), 'a path', {
    meaning: 'Path of the socket that agents on this machine use.',
    why: 'Not set: run/rpc.sock in the home, or a short path elsewhere when the system could not hold that one.'
  })
}

const mcp = {
  enabled: flag(true, {
    meaning: 'Whether models may come through `chrysalis mcp`.',
    why: 'It is what most agents use. The socket is as private as the other one, and nothing is loaded until one comes.'
  }),
  writesPerSecond: wholeNumber(50, 1, 10_000, {
    unit: 'memories a second',
    meaning: 'How fast one MCP client without a token may write; beyond it a call is refused with the time to wait.',
    why: 'A model that writes more than that in a second is in a loop. A token has a pace of its own.'
  })
}

const log = {
  level: choice('info', ['debug', 'info', 'warn', 'error'], {
    meaning: 'Least level that is written. Content of memories is written at none.',
    why: 'info says what changed, debug what was decided.'
  }),
  format: choice('text', ['text', 'json'], {
    meaning: 'text for people, json (one object a line) for programs.',
    why: 'The first reader is a person.'
  })
}

const SECTIONS = {
  network,
  sync,
  store,
  recall,
  index,
  embed,
  promotion,
  consolidation,
  trust,
  ballot,
  access,
  storm,
  rpc,
  mcp,
  log
}

type Values<Keys> = { readonly [K in keyof Keys]: Keys[K] extends KeySpec<infer T> ? T : never }

/** The effective configuration. Every value has passed its schema, and the relations between them hold. */
export type Config = Values<typeof ROOT_KEYS> & { readonly [S in keyof typeof SECTIONS]: Values<(typeof SECTIONS)[S]> }

/** Every key by its dotted path, in the order of the documentation. */
export const CONFIG_KEYS: ReadonlyMap<string, KeySpec<unknown>> = new Map([
  ...sectionRows('', ROOT_KEYS),
  ...Object.entries(SECTIONS).flatMap(([name, keys]) => sectionRows(`${name}.`, keys))
])

function sectionRows(prefix: string, keys: Readonly<Record<string, KeySpec<unknown>>>): [string, KeySpec<unknown>][] {
  return Object.entries(keys).map(([name, spec]) => [prefix + name, spec])
}

/** Short names of environment variables beside the regular ones. */
export const SHORT_VARIABLES: Readonly<Record<string, string>> = {
  CHRYSALIS_LISTEN: 'network.listen',
  CHRYSALIS_BOOTSTRAP: 'network.bootstrap',
  CHRYSALIS_MDNS: 'network.mdns',
  CHRYSALIS_DHT: 'network.dht'
}

/** Variables that are no configuration keys, with what they are. */
export const OTHER_VARIABLES: Readonly<Record<string, string>> = {
  CHRYSALIS_HOME: 'The home directory, where the command line is not told one with --home.',
  CHRYSALIS_PASSPHRASE: 'Opens an identity key that is kept under a passphrase. Never written anywhere.',
  CHRYSALIS_TOKEN:
    'Tells the daemon which agent a client is, as `chrysalis token add` printed it. For clients, not for the daemon.'
}

/** `network.heartbeatMs` is set by `CHRYSALIS_NETWORK_HEARTBEAT_MS`. */
export function variableOf(key: string): string {
  return `CHRYSALIS_${key.replace(/[A-Z]/g, '_$&').replaceAll('.', '_').toUpperCase()}`
}

interface Relation {
  readonly keys: readonly [string, string]
  readonly holds: (config: Config) => boolean
  readonly text: string
}

/** What must hold between two values, whatever their sources. */
export const RELATIONS: readonly Relation[] = [
  {
    keys: ['sync.retryBackoffMs', 'sync.retryBackoffMsMax'],
    holds: ({ sync: s }) => s.retryBackoffMs <= s.retryBackoffMsMax,
    text: 'the first pause may not be longer than the longest'
  },
  {
    keys: ['sync.reconcileIntervalMs', 'sync.reconcileIntervalMsMax'],
    holds: ({ sync: s }) => s.reconcileIntervalMs <= s.reconcileIntervalMsMax,
    text: 'the usual pause may not be longer than the longest'
  },
  {
    keys: ['sync.reconcileIntervalMs', 'sync.flushIntervalMs'],
    holds: ({ sync: s }) => s.reconcileIntervalMs >= 2 * s.flushIntervalMs,
    text: 'reconciliation must leave gossip time to flush twice, or it fetches what is already on its way'
  },
  {
    keys: ['sync.batchIntervalMs', 'sync.flushIntervalMs'],
    holds: ({ sync: s }) => s.batchIntervalMs >= s.flushIntervalMs,
    text: 'a batch may not be flushed sooner than a stream'
  },
  {
    keys: ['network.connectionsMax', 'network.fanout'],
    holds: ({ network: n }) => n.connectionsMax >= 2 * (n.fanout + 1),
    text: 'the mesh needs twice its links, fanout plus one, to have peers to choose from'
  }
]
