/**
 * The engine as the doors see it: every question and request of NodeApi, each handed to the part that answers it. The
 * life of the engine, from disk to memory and back, is in engine.ts.
 */
import type { PeerInfo } from '../ports/network.ts'
import { estimate } from '../sync/estimate.ts'
import type * as api from './api.ts'
import { readChanges } from './changes.ts'
import { contextDigest } from './context-digest.ts'
import { embedPending, embedPut, embedStatus, embedTest } from './embed-doors.ts'
import { Engine } from './engine.ts'
import { review } from './review.ts'
import { statsOf } from './stats.ts'
import { spaceInfo, statusOf } from './status.ts'
import { syncNow, syncStatus, syncWait, type SyncParts } from './sync-doors.ts'

export type { NodePorts } from './engine.ts'

export class Node extends Engine implements api.NodeApi {
  // --- NodeApi: status

  status(): api.NodeStatus {
    return statusOf({
      options: this.options,
      ports: this.ports,
      spaces: this.spaceTable,
      indexer: this.indexer,
      index: this.reads.indexState(),
      intake: this.intake,
      writer: this.writer,
      publishing: this.publisher?.behind,
      state: this.state,
      failure: this.failure,
      notices: [
        ...(this.hooks.notices?.() ?? []),
        ...this.clones.reasons(),
        ...this.reconciliation.reasons(),
        ...this.soundness.reasons(),
        ...(this.vectors?.reasons() ?? []),
        ...(this.publisher?.reasons() ?? []),
        ...this.trust.book.reasons()
      ],
      disk: this.hooks.disk?.() ?? null,
      startedAtMs: this.startedAtMs,
      epoch: this.epoch,
      peer: this.peer
    })
  }

  health(): api.HealthAnswer {
    const { state, reasons } = this.status()
    return { live: true, ready: state === 'ready', reasons }
  }

  spaces(): api.SpaceInfo[] {
    return this.spaceTable.all.map((space) => spaceInfo(space, this.indexer, this.options))
  }

  // --- NodeApi: memory

  add(request: api.AddRequest, options?: api.WriteOptions): Promise<api.WriteReceipt> {
    return this.writes.add(request, options)
  }

  addMany(requests: readonly api.AddRequest[], options?: api.WriteOptions): Promise<api.WriteReceipt[]> {
    return this.writes.addMany(requests, options)
  }

  get(ids: readonly string[], space?: string, options?: api.GetOptions): Promise<(api.MemoryItem | null)[]> {
    return this.reads.get(ids, space, options)
  }

  async resolve(reference: string, space?: string): Promise<string> {
    return (await this.reads.resolve(reference, space)).id
  }

  search(request: api.SearchRequest): Promise<api.SearchAnswer> {
    return this.reads.search(request)
  }

  context(request: api.ContextRequest): Promise<api.ContextAnswer> {
    return contextDigest({ ...this.ports, reads: this.reads, newest: this.writer.storedArrival }, request)
  }

  list(request: api.ListRequest): Promise<api.ListAnswer> {
    return this.reads.list(request)
  }

  async changes(request: { cursor?: string; limit?: number; spaces?: readonly string[] }): Promise<api.ChangesAnswer> {
    const { spaces, ...rest } = request
    const ids = spaces?.map((space) => this.spaceTable.find(space).id)
    return readChanges(
      this.ports,
      { ...rest, ...(ids === undefined ? {} : { spaces: new Set(ids) }) },
      this.writer.storedArrival
    )
  }

  revise(request: api.ReviseRequest, options?: api.WriteOptions): Promise<api.WriteReceipt> {
    return this.writes.revise(request, options)
  }

  link(request: Parameters<api.NodeApi['link']>[0], options?: api.WriteOptions): Promise<api.WriteReceipt> {
    return this.writes.link(request, options)
  }

  retract(request: Parameters<api.NodeApi['retract']>[0], options?: api.WriteOptions): Promise<api.WriteReceipt> {
    return this.writes.retract(request, options)
  }

  history(id: string, space?: string): Promise<api.HistoryEntry[]> {
    return this.reads.history(id, space)
  }

  lineage(id: string, options?: { depth?: number; space?: string }): Promise<api.LineageNode[]> {
    return this.reads.lineage(id, options)
  }

  verify(request: { ids?: readonly string[]; space?: string }): Promise<api.VerifyReport> {
    return this.reads.verify(request)
  }

  async stats(space?: string): Promise<api.StatsAnswer> {
    return statsOf({ ...this.ports, indexer: this.indexer }, this.spaceTable.among(space))
  }

  promote(request: api.PromoteRequest, options?: api.WriteOptions): Promise<api.PromoteAnswer> {
    return this.care.promote(request, options)
  }

  consolidate(request: api.ConsolidateRequest): Promise<api.ConsolidateAnswer> {
    return this.care.consolidate(request)
  }

  undo(request: Parameters<api.NodeApi['undo']>[0], options?: api.WriteOptions): Promise<api.UndoAnswer> {
    return this.care.undo(request, options)
  }

  restore(request: Parameters<api.NodeApi['restore']>[0], options?: api.WriteOptions): Promise<api.WriteReceipt> {
    return this.care.restore(request, options)
  }

  rot(request: Parameters<api.NodeApi['rot']>[0]): Promise<api.RotReport> {
    return this.care.rot(request)
  }

  trustList(): api.TrustList {
    return this.trust.book.list()
  }

  trustPeer({ peer, tier, reason }: api.TrustRequest): Promise<api.TrustEntry> {
    return this.trust.book.set(peer, tier, reason)
  }

  review(request: api.ReviewRequest): Promise<api.ReviewAnswer> {
    return review(
      {
        indexer: this.indexer,
        items: this.items,
        judge: this.trust.judge,
        spaces: this.spaceTable,
        clock: this.ports.clock
      },
      request
    )
  }

  vote(request: Parameters<api.NodeApi['vote']>[0], options?: api.WriteOptions): Promise<api.WriteReceipt> {
    return this.writes.vote(request, options)
  }

  tally(id: string, space?: string): Promise<api.TallyAnswer> {
    return this.reads.tally(id, space)
  }

  digest(space?: string): Promise<api.DigestAnswer> {
    return this.reads.digest(space)
  }

  deltaIds(request: {
    space?: string
    cursor?: string
    limit?: number
  }): Promise<{ ids: string[]; cursor: string | null }> {
    return this.reads.deltaIds(request)
  }

  // --- NodeApi: embeddings

  embedStatus(): api.EmbedStatus {
    return embedStatus(this.vectors)
  }

  embedTest(text: string): Promise<api.EmbedTest> {
    return embedTest(this.vectors, text)
  }

  async embedPending({ limit }: { limit?: number }): Promise<api.EmbedPending> {
    // What was just learnt waits as well.
    await this.indexer.catchUp()
    return embedPending(this.vectors, limit)
  }

  embedPut(request: api.EmbedPut): Promise<{ accepted: number; waiting: number }> {
    return embedPut(this.vectors, request)
  }

  // --- NodeApi: peers and sync

  peers(): readonly PeerInfo[] {
    return this.ports.network.peers()
  }

  connect(address: string): Promise<string> {
    return this.ports.network.connect(address)
  }

  disconnect(peer: string): Promise<void> {
    return this.ports.network.disconnect(peer)
  }

  syncStatus(): Promise<api.SyncStatus> {
    return syncStatus(this.#syncParts())
  }

  syncNow(request: api.SyncNowRequest): Promise<api.SyncNowAnswer> {
    return syncNow(this.#syncParts(), request)
  }

  syncWait(request: api.SyncWaitRequest): Promise<api.SyncWaitAnswer> {
    return syncWait(this.#syncParts(), request)
  }

  syncFrontiers(request: api.FrontiersRequest): Promise<api.FrontiersAnswer> {
    return this.frontiers.list(request)
  }

  #syncParts(): SyncParts {
    const { clock, store } = this.ports
    const { reconciliation, waiting, reads, records, writer, spaceTable: spaces } = this
    return {
      clock,
      store,
      spaces,
      reconciliation,
      waiting,
      reads,
      records,
      writer,
      replicas: this.options.sync.replicas
    }
  }

  estimate(request: api.EstimateRequest): api.EstimateAnswer {
    return estimate(request)
  }

  onEvent(listener: (event: api.NodeEvent) => void): () => void {
    return this.events.on(listener)
  }
}
