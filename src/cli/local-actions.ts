/**
 * What the command line can do without a daemon answering: make a home, start a daemon, read files. The composition
 * root implements it (daemon/local-actions.ts) and bin/ hands it in, so that the command line itself depends on nothing
 * but the RPC door.
 */
import type { Kind, MIN_TRUSTS } from '../rpc/vocabulary.ts'

export interface InitReport {
  readonly home: string
  readonly peer: string
  /** false when the home existed and was left as it was. */
  readonly created: boolean
  readonly network: 'created' | 'joined'
  readonly spaces: readonly { readonly name: string; readonly id: string; readonly shared: boolean }[]
}

export interface JoinReport {
  readonly home: string
  readonly space: { readonly name: string; readonly id: string }
  readonly addresses: readonly string[]
  /** The network key was replaced: a running daemon must restart. */
  readonly networkChanged: boolean
}

export interface ConfigEntry {
  /** Dotted path, as `network.fanout`. */
  readonly key: string
  readonly value: unknown
  readonly source: 'default' | 'file' | 'environment' | 'flag'
}

export interface CheckResult {
  readonly check: string
  readonly ok: boolean
  readonly detail: string
  readonly hint: string | null
}

/** Configuration overrides from the command line, by dotted path. */
export type ConfigFlags = Readonly<Record<string, string | number | boolean | readonly string[]>>

/** A search of the shared index; every field but the first two has a default (src/reader.ts). */
export interface SharedSearch {
  readonly home: string
  readonly query: string
  readonly space?: string
  readonly limit?: number
  readonly mode?: 'bm25' | 'jaccard'
  readonly kinds?: readonly Kind[]
  readonly tagsAll?: readonly string[]
  readonly authors?: readonly string[]
  readonly sinceMs?: number
  readonly minTrust?: (typeof MIN_TRUSTS)[number]
  readonly pinnedOnly?: boolean
  readonly explain?: boolean
}

/** What a line shows of a hit; the object holds all of the memory. */
export interface SharedFound {
  readonly id: string
  readonly kind: string
  readonly content: string
  readonly peer: string
  readonly createdAt: number
  readonly tier: string
  readonly flags: readonly string[]
  readonly score: number
  readonly why?: Readonly<Record<string, number>>
}

export interface SharedFoundAnswer {
  readonly hits: readonly SharedFound[]
  readonly dropped: number
  readonly index: {
    readonly space: string
    readonly spaceName: string
    readonly generation: number
    readonly indexed: number
    readonly state: 'complete' | 'partial'
  }
}

export interface LocalActions {
  /** Makes the home, or reports the one that exists. */
  init(options: { home: string; name?: string; passphrase?: string; ticket?: string }): Promise<InitReport>
  /** Runs a daemon in this process until it is told to stop; resolves with the exit status. */
  daemon(options: { home: string; preset?: string; flags: ConfigFlags }): Promise<number>
  /** Starts a daemon in the background and waits until it answers. Rejects with `timeout`, `home_locked`, `config`… */
  spawnDaemon(options: { home: string; flags: ConfigFlags }): Promise<{ pid: number }>
  /** Where the daemon of this home listens, found from its run file, or where it would listen. */
  socketPath(home: string): string
  /** Uses a ticket on a home with no running daemon. */
  join(options: { home: string; ticket: string; force?: boolean }): Promise<JoinReport>
  /** Effective configuration and where each value comes from. */
  config(options: { home: string; preset?: string; flags: ConfigFlags }): readonly ConfigEntry[]
  /** Two daemons on loopback: one learns, the other recalls, both are killed and start again. */
  demo(options: { json: boolean; keep: boolean; print: (line: string) => void }): Promise<number>
  /** What a TOML text says. Throws `config` with line and column when it is broken. */
  parseToml(text: string): Record<string, unknown>
  /** Searches the index that the daemon publishes, without the daemon. Rejects with `not_found`, `corrupt`… */
  searchShared(search: SharedSearch): Promise<SharedFoundAnswer>
  /** Checks that need no daemon: permissions, keys, sentinel, disk space, socket path. */
  doctorFiles(home: string): Promise<readonly CheckResult[]>
}
