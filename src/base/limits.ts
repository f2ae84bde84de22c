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
  /** Texts of this author that are known not to be written again; older ones are forgotten. Some 100 bytes each. */
  repeatsKnownMax: 200_000,
  /** Conversations of which it is remembered what they were shown, and how much of it: the oldest go first. */
  echoSessionsMax: 512,
  echoShownMax: 256,
  /** Tokens of one home; the list is read whole. */
  tokensMax: 256,
  /** Bytes of the file with the tokens, whatever is in it. */
  tokensFileBytesMax: 512 * 1_024,
  /** Above what one daemon can sign, so that a token without use for a bound is not made with one by mistake. */
  tokenWritesPerSecondMax: 100_000,
  /** Opinions of the owner about other peers; all of them are one row. */
  trustBookPeersMax: 4_096,
  /** Bytes of the name of an agent, as its token has it: it travels in every delta that agent writes. */
  agentNameBytesMax: 128,
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
  /** Deltas read from the store at once by a session: at their largest they take 4 MiB. */
  reconLoadKeysMax: 64,
  /** Deltas read for one short id: two share one by chance in 2^64, more only where somebody searched for them. */
  reconShortMatchesMax: 4,
  /** Longest window of young keys a peer may ask to be left out: it is passed over key by key. */
  reconSettlingMsMax: 10_000,
  /** Deltas moved by one session; the next one goes on. */
  reconSessionDeltasMax: 20_000,
  /** Metadata bytes of one session, both ways. */
  reconSessionMetadataBytesMax: 1_048_576,
  reconSessionMsMax: 30_000,
  /** A session in which nothing came, was read or was stored for this long is given up. */
  reconStillMsMax: 10_000,
  /** Requests for more cells of a sketch in one session: none came with the hello, too few did, and twice again too few. */
  reconMoresMax: 4,
  /** Ranges found to differ and not yet looked into, in one session. What is beyond is found by the next one. */
  reconOpenRangesMax: 8_192,
  /** Own keys hashed to be compared with a peer's list of at most 32; a longer range is shown as a node instead. */
  reconMatchKeysMax: 1_024,
  /** Pages of deltas on their way and not yet acknowledged, each way: 1 MiB keeps a fast link and a disk busy. */
  reconWindowPagesMax: 4,
  /** Deltas a peer may send in one session although our snapshot held them: short ids collide, but not so often. */
  reconKnownPushesMax: 64,
  /** Deltas asked by id in one request. */
  reconFetchIdsMax: 256,
  /** Parts in one outline of a set. */
  reconPartsMax: 256,
  reconInboundPerPeerMax: 1,
  reconInboundMax: 8,
  /** A peer that takes longer until its first answer is left to it, and somebody else is asked meanwhile. */
  reconAnswerMsMax: 1_000,
  /** Sessions in a row with one peer while each is cut short by its own bounds: then the others have their turn. */
  reconOnwardSessionsMax: 16,
  /** A peer that said it is not in a space is asked about it again after this long, or when it comes anew. */
  reconStrangerMsMax: 600_000,
  /** Sessions in a row with one peer that differ and move nothing before a person is told. */
  reconStuckSessionsMin: 5,
  /**
   * Unequal sessions in a row with one peer that may rely on the sketch; the next one walks the tree, so that sets made to
   * cancel in every cell do not stay apart for as long as something else always differs.
   */
  reconSketchedSessionsMax: 16,
  /** Sessions started at once on behalf of one caller that waits, or asks for a comparison with everybody. */
  reconAtOnceMax: 8,
  /** Deltas a peer must have more than we before several peers are asked for parts of them at once. */
  catchUpDeltasMin: 2_000,
  /** Deltas in one part of a catch-up: some 2 MiB, a second's work or less. */
  catchUpPartDeltasMax: 4_096,
  /** And no fewer than these, though a gap is cut so that every peer has its share: a part costs a few round trips. */
  catchUpPartDeltasMin: 1_024,
  /** Where only one peer can send there is nothing to share: a part is then what one session can move, or nearly. */
  catchUpLonePartDeltasMax: 16_384,
  /** Peers that serve one catch-up: a daemon verifies no faster than two or three can send. */
  catchUpPeersMax: 4,
  /** A part that takes longer is given to another peer. */
  catchUpPartMsMax: 15_000,
  /** Rows of author chains counted for one page of frontiers; the next page, or the next call, goes on. */
  frontierRowsMax: 50_000,
  /** Keys in one leaf of the range tree. */
  rangeLeafKeysMax: 128,
  /** A range with at most this many keys is answered by listing them. */
  rangeListKeysMax: 32,
  /** Keys of one space whose bytes stay in memory, about 50 MB a million. Those of older leaves are read back from disk. */
  residentKeysMax: 3_000_000,
  /** Cells of the sketch of a set: enough to name about 11,000 differences. More are a matter for the range tree. */
  sketchCellsMax: 16_384,

  // --- node
  /** Inputs waiting for the writer. Beyond it a local write is refused with `rate_limited`, a remote one is dropped. */
  inboxInputsMax: 8_192,
  /** Inputs in one group commit. */
  groupCommitInputsMax: 64,
  /** Deltas of others in one group commit. They come in pages and need no sync, so a group may be as large as a page. */
  groupCommitForeignMax: 256,
  /** Longest a write waits for company before its group is committed. */
  groupCommitWindowMs: 2,
  /** Decoded record states kept in memory. */
  recordCacheMax: 20_000,
  /** Foreign deltas in verification at once. */
  verifyInFlightMax: 1_024,
  /** Deltas out of sessions between their arrival and the disk; whoever brings more waits. A few MiB decoded. */
  sessionDeltasInFlightMax: 1_024,
  /** Records of own writes and gossip that may wait to be indexed while there is better to do: half a second's work. */
  indexFreshMax: 10_000,
  /** Records out of sessions that may wait to be indexed while a catch-up runs: about 120 bytes each. */
  indexBacklogMax: 100_000,
  /** Records out of sessions that a search still indexes first, about 0.1 s; behind more it answers `partial`. */
  indexAwaitedMax: 2_000,
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
  /** Damaged deltas remembered by id, all spaces. Beyond it they are only counted; what is left is found again later. */
  quarantineDeltasMax: 10_000,
  /** Damaged index rows waiting to be written anew. What does not fit is found again by the next reader. */
  mendRowsMax: 10_000,
  /** Positions left free after a rebuild: more than any lost tail can have held, so that none is handed out twice. */
  arrivalGapMin: 1_000_000,

  /** Deltas admitted between two checkpoints of the range trees; a restart replays at most about as many. */
  checkpointDeltasMax: 10_000,
  /** Longest a change waits for a checkpoint. */
  checkpointMsMax: 60_000,
  /** Bytes of one batch of a checkpoint. A larger one is written in several, and is no checkpoint until the last. */
  checkpointBatchBytesMax: 16 * 1_024 * 1_024,
  /** Newest positions of the arrival log that a restart looks up in the range tree, whatever the checkpoint says. */
  restoreTailPositionsMax: 4_096,

  // --- store and log
  /** Bytes LevelDB collects before it writes a table: restart replays at most this much log. */
  storeWriteBufferBytes: 8 * 1_024 * 1_024,
  /** Bytes of tables read block by block before the database is opened, a tenth of a second; the rest follows behind. */
  storeStartReadBytes: 64 * 1_024 * 1_024,
  /** Bytes kept in a file that is deleted when the disk is full: twice what LevelDB needs to close and open again. */
  diskBallastBytes: 32 * 1_024 * 1_024,
  /** Notes of orderly stops kept in memory for all homes of one user, 16 bytes each. Forgetting one costs an epoch. */
  stopNotesMax: 1_000,
  /** Times a running daemon repairs its database. Damage that comes back that often comes from the machine. */
  storeSalvagesMax: 3,
  /** Table files LevelDB keeps open, of the 1,024 descriptors most systems allow one process. */
  storeOpenFilesMax: 256,
  /** Bytes of rows one step of a scan reads ahead. At LevelDB's own 16 KiB a large scan is mostly waiting for its thread. */
  storeReadAheadBytesMax: 1_048_576,
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

  // --- the door for models
  mcpClientsMax: 64,
  /** The line a pipe sends before anything else: profiles, a space and a token. */
  mcpPreambleBytesMax: 4_096,
  /** Bytes of one MCP message: large enough that a text that is too long is refused by name, not by a closed door. */
  mcpFrameBytesMax: 4_194_304,
  /** Tool calls and readings of one connection at work at once; a cancelled one counts until its work is done. */
  mcpCallsInFlightMax: 32,
  /** Requests of one connection that wait for an answer, refusals included. */
  mcpUnansweredMax: 128,
  /** Resources one connection may watch. */
  mcpWatchedMax: 256,
  /** Changes of a resource within this time are told once. */
  mcpNotifyMs: 100,
  /** Characters of one memory where many are listed; inspect shows the whole. */
  mcpExcerptCharactersMax: 2_000,

  // --- programs that run beside it
  /** Bytes of a configuration of another program that `install` edits; some keep their history in it. */
  clientConfigBytesMax: 16 * 1_024 * 1_024,
  /** Nesting of such a configuration. */
  clientConfigDepthMax: 64,
  /** Bytes of what a client tells a hook; more is not read. */
  hookInputBytesMax: 1_048_576,
  /** A hook ends by then, whatever the daemon does: a model is waiting for it. */
  hookMsMax: 2_000,

  // --- recall
  recallResultsMax: 200,
  recallCandidatesMax: 400,
  /** Estimated tokens of one answer: more than most models read at once would only cost. */
  recallTokensMax: 200_000,
  /** Records of one graph neighbourhood that are asked: whoever links ten thousand to one gets no more than these. */
  recallNeighboursMax: 40,
  /** Hits of one question about the past that are folded again from their history. */
  recallRefoldsMax: 100,
  /** Of these at most that many because their words have changed: they are folded before anything says they match. */
  recallRescuesMax: 50,
  queryBytesMax: 4_096,
  queryTermsMax: 64,
  termBytesMax: 64,
  /** Distinct terms of one memory that are indexed; 48 KiB of prose has about 2,500. */
  documentTermsMax: 4_096,

  // --- vectors
  /** Texts in one request to an embedder. */
  embedBatchMax: 64,
  /** Bytes of a text that are embedded: what it is about is said at its beginning, and models read no further. */
  embedTextBytesMax: 8_192,
  /** Components of one vector; the largest models in use have 4,096. */
  embedDimensionsMax: 4_096,
  /** Bytes of one answer of an embedder: a full batch of the longest vectors, at 24 characters a number. */
  embedAnswerBytesMax: 8_388_608,
  /** Texts that wait for a vector by name; when more do, the rest is found by another walk over all. */
  embedQueueMax: 16_384,
  /** Vectors of queries that are kept, since questions come back. */
  embedQueryVectorsMax: 256,
  /** Queries that are being embedded at one time; beyond it a recall does without vectors. */
  embedQueriesInFlightMax: 16,
  /** Failures in a row after which an embedder is left alone for a while. */
  embedFailuresMax: 5,
  /** The longest it is left alone. */
  embedPauseMsMax: 300_000,
  /** Vectors that are compared one by one, at most; what is beyond goes into a graph. */
  vectorExactMax: 20_000,

  // --- the shared read index
  /** Address space one index reserves, and so the bytes it can have: a million memories of 2 KiB take a quarter. */
  sharedIndexBytesMax: 16 * 1_024 * 1_024 * 1_024,
  /** Processes that search one index at once; 64 bytes each in its lock file. */
  sharedReadersMax: 512,
  /** Memories of one transaction of an index. */
  sharedGroupMax: 64,
  /** Longest a change waits for company before it is published. */
  sharedGroupMs: 20,
  /** Changes waiting to be published by name, some 100 bytes each; beyond it another walk over all finds the rest. */
  sharedWaitingMax: 131_072,

  // --- care of memories
  /** Private memories shared by one call. */
  promoteIdsMax: 64,
  /** Working memories whose recalls by sessions are remembered, some 100 bytes each; beyond it the oldest is forgotten. */
  recalledMemoriesMax: 10_000,
  /** Sessions a promotion may be made to wait for. */
  promotionSessionsMax: 16,
  /** Memories of one space that one consolidation or report looks at, some 500 bytes each while it runs. */
  consolidationRecordsMax: 200_000,
  /** Actions of one call of consolidate: each is a signed delta, some milliseconds. */
  consolidationActionsMax: 1_000,
  /** Memories one action of consolidate touches. */
  consolidationIdsMax: 32,
  /** Records changed more than once whose history one consolidation reads, to find texts written side by side. */
  consolidationHistoriesMax: 1_000,
  /** Deltas of one such history; what lies beyond is the work of many hands, and somebody has seen it. */
  consolidationHistoryDeltasMax: 256,
  /** Contradictions of one sort listed for one space: more than anybody will look at, and each is some 300 bytes. */
  contradictionsMax: 1_000,
  /** Earlier texts that one is compared with in one bucket: a bucket of a thousand would be a million comparisons. */
  likenessComparedMax: 64,
  /** Distinct words of a text that is compared with others for contradictions: what is longer says many things. */
  statementWordsMax: 64,

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
assert(LIMITS.catchUpLonePartDeltasMax <= LIMITS.reconSessionDeltasMax, 'one session can move a part')
assert(LIMITS.groupCommitInputsMax <= LIMITS.inboxInputsMax, 'a group fits the inbox')
assert(LIMITS.groupCommitForeignMax <= LIMITS.sessionDeltasInFlightMax, 'sessions can fill a group')
assert(LIMITS.sessionDeltasInFlightMax < LIMITS.inboxInputsMax, 'sessions never fill the inbox')
assert(LIMITS.inboundStreamsPerPeerMax < LIMITS.inboundStreamsPerProtocolMax, 'one peer cannot take every channel')
assert(LIMITS.connectionsTarget < LIMITS.connectionsMax, 'room is left for those who dial us')
