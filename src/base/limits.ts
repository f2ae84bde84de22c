/**
 * Every bound of the daemon, with unit and reason, in one place. Nothing else in the project may invent a bound: a
 * queue, frame, cache or session without a row here is a defect. Relations between bounds are asserted at the end.
 * Each is tested where it is enforced, or test/unit/base/limits.test.ts says by name that it is not yet.
 */
import { assert } from './assert.ts'

export const LIMITS = {
  // --- one delta (docs/WIRE.md §3)
  /** Bytes of a delta header. Eight parents and every integer at its widest need 434. */
  deltaHeaderBytesMax: 1_024,
  /** Bytes of a delta body. One frame always holds one delta. */
  deltaBodyBytesMax: 65_536 - 2_048,
  /** Parents named by one delta: enough to join eight concurrent branches at once. */
  deltaParentsMax: 8,
  /** Operations in one body: a bulk learn of 500 memories with a few tags each. */
  deltaOpsMax: 4_096,
  /** Depth of nested CBOR arrays; the deepest legal body needs 4. */
  cborDepthMax: 8,
  /** CBOR items in one decode, before anything is allocated for them. */
  cborItemsMax: 32_768,

  // --- one memory
  /** Bytes of UTF-8 content. Longer texts belong in files, cited as evidence. */
  contentBytesMax: 48 * 1_024,
  tagBytesMax: 256,
  /** Tags in one request; the record itself may accumulate more. */
  tagsPerRequestMax: 64,
  keyBytesMax: 512,
  pathBytesMax: 512,
  /** Bytes of a kind: a word, not one of our own list only. */
  kindBytesMax: 64,
  sourceBytesMax: 256,
  evidenceBytesMax: 2_048,
  reasonBytesMax: 1_024,
  linksPerRequestMax: 64,
  /** Memories in one memory.addMany. */
  addManyItemsMax: 500,

  // --- time
  /** A delta dated further ahead than this is held until due, and never drags the local clock along. */
  clockLeadMsMax: 120_000,
  /** Deltas held because they are dated ahead, per space. Beyond it the latest-dated is let go and found again later. */
  pendingDeltasMax: 10_000,

  // --- gossip
  /** Bytes of one gossip frame. */
  gossipFrameBytesMax: 65_536,
  /** Deltas in one gossip frame. */
  gossipFrameDeltasMax: 64,
  /** Bytes at which a filling frame is flushed without waiting. */
  gossipFlushBytes: 32_768,
  /** Bytes of one gossipsub RPC. It bundles frames asked for again; a smaller bound cuts honest links. */
  gossipRpcBytesMax: 4_194_304,
  /** Bytes waiting for one slow gossip link before it is cut; gossipsub itself never waits. */
  gossipOutboundBytesMax: 8_388_608,
  /** Message ids or messages in one gossipsub RPC. */
  gossipRpcItemsMax: 2_048,
  /** Longest a connection may stand without a working gossip link before it is closed and dialled again. */
  gossipLinkDeadMsMax: 10_000,
  /** Own deltas waiting for a first listener. They are on disk; the queue only remembers to offer them. */
  outboxDeltasMax: 100_000,
  /** A recovered delta older than this is not gossiped again: whoever lacks it will find it as we did. */
  reannounceAgeMsMax: 60_000,

  // --- reconciliation
  /** Bytes of one frame of /chrysalis/recon/1. */
  reconFrameBytesMax: 262_144,
  /** Range prefixes asked in one frame. */
  reconPrefixesMax: 512,
  /** Ids in one frame of wants. */
  reconIdsMax: 2_048,
  /** Deltas read from the store at once by a session: at their largest they take 4 MiB. */
  reconLoadKeysMax: 64,
  /** Longest window of young keys a peer may ask to be left out: it is passed over key by key. */
  reconSettlingMsMax: 10_000,
  /** Deltas moved by one session; the next one goes on. */
  reconSessionDeltasMax: 20_000,
  /** Metadata bytes of one session, both ways. */
  reconSessionMetadataBytesMax: 1_048_576,
  reconSessionMsMax: 30_000,
  reconInboundPerPeerMax: 1,
  reconInboundMax: 8,
  /** Keys in one leaf of the range tree. */
  rangeLeafKeysMax: 128,
  /** A range with at most this many keys is answered by listing them. */
  rangeListKeysMax: 32,

  // --- node
  /** Inputs waiting for the writer. Beyond it a local write is refused with `rate_limited`, a remote one is dropped. */
  inboxInputsMax: 8_192,
  /** Inputs in one group commit. */
  groupCommitInputsMax: 64,
  /** Longest a write waits for company before its group is committed. */
  groupCommitWindowMs: 2,
  /** Decoded record states kept in memory. */
  recordCacheMax: 20_000,
  /** Foreign deltas in verification at once. */
  verifyInFlightMax: 1_024,
  /** Distinct (author, epoch) heads known per space. */
  authorHeadsMax: 100_000,
  /** Public keys kept ready for verification, each with the answer of the key rule, about 1 KiB each. */
  authorKeysMax: 16_384,
  /** Deltas walked by one lineage or ancestry question. */
  lineageDeltasMax: 10_000,
  /** Free bytes below which doctor warns: LevelDB compacts into new files before it drops the old ones. */
  diskFreeBytesMin: 268_435_456,
  /** Entries of the audit log kept on disk. */
  auditEntriesMax: 1_000,

  // --- store and log
  /** Bytes LevelDB collects before it writes a table: restart replays at most this much log. */
  storeWriteBufferBytes: 8 * 1_024 * 1_024,
  /** Table files LevelDB keeps open, of the 1,024 descriptors most systems allow one process. */
  storeOpenFilesMax: 256,
  /** Bytes of log lines waiting for a slow disk or pipe. Beyond it lines are counted and dropped. */
  logBufferBytesMax: 1_048_576,
  /** Bytes of one log line; the data of a longer one is left out. */
  logLineBytesMax: 16_384,
  /** Distinct counters and gauges; names come from the code, so reaching it means one was built from peer input. */
  metricNamesMax: 2_048,

  // --- network
  connectionsMax: 128,
  connectionsPerPeerMax: 2,
  pendingInboundConnectionsMax: 64,
  /** Inbound connections a second from one address; co-hosted daemons start together. */
  inboundConnectionsPerSecondMax: 100,
  parallelDialsMax: 20,
  dialTimeoutMs: 6_000,
  /** An inbound connection must be encrypted and multiplexed by then: silent sockets hold a slot no longer. */
  inboundUpgradeMsMax: 5_000,
  /** Connections the dialler works towards on its own; more are welcome when others dial. */
  connectionsTarget: 16,
  /** Addresses remembered for one peer. */
  addressesPerPeerMax: 16,
  streamIdleMsMax: 10_000,
  streamTotalMsMax: 60_000,
  inboundStreamsPerProtocolMax: 8,
  /** Of those, channels one peer may hold. */
  inboundStreamsPerPeerMax: 4,
  /** Bytes a channel holds for a reader that is not reading; then the sender is made to wait. */
  channelBufferBytesMax: 524_288,
  savedPeersMax: 1_000,
  peerScoresMax: 1_000,
  topicsMax: 64,
  reconnectBackoffMsMax: 60_000,

  // --- the local door
  rpcFrameBytesMax: 1_048_576,
  rpcDepthMax: 64,
  rpcInFlightMax: 64,
  rpcClientsMax: 32,
  rpcOutboundBytesMax: 1_048_576,
  rpcFirstByteMsMax: 5_000,
  rpcSubscriptionsPerClientMax: 16,
  /** Changes read from the log at once for one subscription; a slow reader holds no more than this. */
  rpcEventsPageMax: 128,
  /** A client that has read nothing for this long while its buffer is full is closed. */
  rpcStallMsMax: 30_000,
  /** Requests in flight get this long to finish when the daemon stops. */
  rpcCloseMsMax: 5_000,
  /** Longest time-out a caller may ask for: ten minutes. */
  rpcTimeoutMsMax: 600_000,
  /** Rows in one page of ids, changes or references asked through the door. */
  rpcPageItemsMax: 1_000,
  /** Bytes of a Unix socket path; longer ones are silently cut by the system. */
  socketPathBytesMax: 103,

  // --- recall
  recallResultsMax: 200,
  recallCandidatesMax: 400,
  queryBytesMax: 4_096,
  queryTermsMax: 64,
  termBytesMax: 64,
  /** Distinct terms of one memory that are indexed; 48 KiB of prose has about 2,500. */
  documentTermsMax: 4_096,

  // --- access
  ticketBytesMax: 2_048,
  ticketAddressesMax: 8,
  /** Tickets whose uses are remembered; beyond it the oldest is forgotten and its later users are refused. */
  ticketsIssuedMax: 1_000,
  /** Bootstrap addresses in the configuration, and as many kept from tickets: each is dialled for ever. */
  bootstrapAddressesMax: 64,
  spacesMax: 64,
  votersMax: 1_024,
  /** Ids kept in a proof of equivocation: two convict, two more are evidence when one of them is lost. */
  proofIdsMax: 4,
  spaceNameBytesMax: 64
} as const

export type LimitName = keyof typeof LIMITS

assert(
  LIMITS.deltaHeaderBytesMax + LIMITS.deltaBodyBytesMax + 512 <= LIMITS.gossipFrameBytesMax,
  'a frame holds a delta'
)
assert(LIMITS.contentBytesMax < LIMITS.deltaBodyBytesMax, 'a body holds one content')
assert(LIMITS.gossipFlushBytes < LIMITS.gossipFrameBytesMax, 'a frame is flushed before it is full')
assert(LIMITS.gossipFrameBytesMax < LIMITS.reconFrameBytesMax, 'a page holds a delta')
assert(LIMITS.rangeListKeysMax < LIMITS.rangeLeafKeysMax, 'a listed range fits a leaf')
assert(LIMITS.reconInboundPerPeerMax <= LIMITS.reconInboundMax, 'one peer cannot take every session')
assert(LIMITS.groupCommitInputsMax <= LIMITS.inboxInputsMax, 'a group fits the inbox')
assert(LIMITS.inboundStreamsPerPeerMax < LIMITS.inboundStreamsPerProtocolMax, 'one peer cannot take every channel')
assert(LIMITS.connectionsTarget < LIMITS.connectionsMax, 'room is left for those who dial us')
