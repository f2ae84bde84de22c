/**
 * Faults planted on purpose, to see whether the checks would have found them. Each is a change of a few words in the code
 * of the daemon that a tired person could make: it compiles, most tests of single parts might pass, and the damage shows
 * only when several daemons work together under some fault. A mutant that nothing catches is a missing check.
 *
 * The text to replace must occur exactly once in its file; a test holds every one of them to that, so that a mutant
 * cannot quietly become the original when the code moves on.
 */
import type { LiarKind } from '../liars/liar.ts'

export interface Edit {
  /** From the root of the project. */
  readonly file: string
  readonly from: string
  readonly to: string
}

export interface Mutant {
  readonly name: string
  /** What is broken, as one would say it. */
  readonly breaks: string
  readonly edits: readonly Edit[]
  /** The smallest scenario that can show it: a name, or a file beside this one. */
  readonly scenario: string
  /** Instead of those drawn. */
  readonly liars?: readonly LiarKind[]
  /** Where the other half of the repair hides it: there it must not be found, or nothing was hidden. */
  readonly hiddenIn?: string
}

const one = (file: string, from: string, to: string): readonly Edit[] => [{ file, from, to }]

const MERGE: readonly Mutant[] = [
  {
    name: 'lww-tie',
    breaks: 'of two writes by one author at one time, the one that came first stays',
    edits: one('src/memory/ids.ts', '  if (a.delta !== b.delta) return a.delta < b.delta ? -1 : 1\n', ''),
    scenario: 'byzantine-third',
    liars: ['equivocator', 'equivocator']
  },
  {
    name: 'lww-last-to-come',
    breaks: 'a field shows what arrived last, whatever its time',
    edits: one(
      'src/memory/record.ts',
      'fields.set(field, laterOf(fields.get(field), write, compareStamps))',
      'fields.set(field, write)'
    ),
    scenario: 'lossy'
  },
  {
    name: 'first-creation',
    breaks: 'the latest claim to have created a record wins, not the first',
    edits: one(
      'src/memory/record.ts',
      'const firstCreation = reversed(compareStamps)',
      'const firstCreation = reversed(reversed(compareStamps))'
    ),
    scenario: 'calm'
  },
  {
    name: 'votes-by-arrival',
    breaks: 'of two votes of one voter the one that arrives last counts',
    edits: one(
      'src/memory/record.ts',
      'votes.set(stamp.author, laterOf(votes.get(stamp.author), vote, compareStamps))',
      'votes.set(stamp.author, vote)'
    ),
    scenario: 'lossy'
  },
  {
    name: 'remove-takes-all',
    breaks: 'taking a tag away also takes the additions nobody had seen',
    edits: one(
      'src/crdt/or-set.ts',
      '    entry.live.delete(dot)\n    entry.removed',
      '    entry.live.clear()\n    entry.removed'
    ),
    scenario: 'tags.toml'
  },
  {
    name: 'removal-forgotten',
    breaks: 'a tag that was taken away comes back when its addition arrives late',
    edits: one('src/crdt/or-set.ts', '  if (!entry.removed.has(dot)) entry.live.add(dot)', '  entry.live.add(dot)'),
    scenario: 'lossy'
  },
  {
    name: 'claim-falls',
    breaks: 'a claim or count that arrives late replaces a higher one',
    edits: one(
      'src/crdt/max-register.ts',
      '  if (current !== undefined && current >= value) return false\n  map.set',
      '  if (current === value) return false\n  map.set'
    ),
    scenario: 'lossy'
  },
  {
    name: 'join-keeps-left',
    breaks: 'joining two states of a record forgets the links of the second',
    edits: one('src/crdt/g-set.ts', '  joinGSetInto(joined, b)\n', ''),
    scenario: 'calm'
  }
]

const TIME: readonly Mutant[] = [
  {
    name: 'clock-observes-nothing',
    breaks: 'a daemon does not date its writes after what it has seen',
    edits: one('src/sync/replica.ts', '    this.#clock.observe(header.hlc, nowMs)\n', ''),
    scenario: 'clock-skew'
  },
  {
    name: 'clock-follows-wall',
    breaks: 'own times run back when the wall clock does',
    edits: one('src/crdt/hybrid-clock.ts', 'const time = wall > next ? wall : next', 'const time = wall'),
    scenario: 'clock-skew'
  },
  {
    name: 'clock-not-restored',
    breaks: 'after a start own times begin at the wall clock again',
    edits: one(
      'src/node/restore.ts',
      '  if (lastKey !== undefined) replica.restoreClock(hlcOf(splitRangeKey(lastKey).ms, 0xffff))\n',
      ''
    ),
    scenario: 'clock-skew'
  },
  {
    name: 'future-admitted',
    breaks: 'what is dated years ahead is admitted at once',
    edits: one(
      'src/sync/replica.ts',
      '    if (hlcMs(header.hlc) > nowMs + LIMITS.clockLeadMsMax) return this.#hold(delta)\n',
      ''
    ),
    scenario: 'byzantine-third',
    liars: ['time-liar', 'time-liar']
  },
  {
    name: 'held-for-ever',
    breaks: 'what was held back is never looked at again',
    edits: one('src/node/upkeep.ts', "        await this.#ports.writer.submit(space, { input: 'tick' })\n", ''),
    scenario: 'byzantine-third',
    liars: ['time-liar', 'time-liar']
  },
  {
    name: 'no-parents',
    breaks: 'a write does not cite what its author had seen',
    edits: one('src/sync/replica.ts', 'parents: this.#chooseParents(),', 'parents: this.#chooseParents().slice(0, 0),'),
    scenario: 'calm'
  }
]

const FORGERY: readonly Mutant[] = [
  {
    name: 'signature-unchecked',
    breaks: 'a delta is believed whoever signed it',
    edits: one('src/memory/verify.ts', 'judged(delta, answer === true)', 'judged(delta, true)'),
    scenario: 'byzantine-third',
    liars: ['bad-signature', 'bad-signature']
  },
  {
    name: 'key-rule-skipped',
    breaks: 'keys are used on which verifiers disagree',
    edits: one(
      'src/memory/verify.ts',
      'return verifier.keyOk(check.publicKey) ? verifier.verifyAsync(check) : UNSOUND_KEY',
      'return check.publicKey.length > 0 ? verifier.verifyAsync(check) : UNSOUND_KEY'
    ),
    scenario: 'byzantine-third',
    liars: ['mixed-order-key', 'mixed-order-key']
  },
  {
    name: 'body-unchecked',
    breaks: 'another body of the same length passes for the one that was signed',
    edits: one(
      'src/memory/delta-codec.ts',
      '  if (bodyBytes !== null && header.value.bodyHash !== bodyHashOf(hasher, bodyBytes)) {',
      '  if (bodyBytes !== null && header.value.bodyHash.length !== bodyHashOf(hasher, bodyBytes).length) {'
    ),
    scenario: 'byzantine-third',
    liars: ['bad-signature', 'bad-signature']
  },
  {
    name: 'space-unchecked',
    breaks: 'a delta of another space is taken in; two checks have to be missing for that',
    edits: [
      {
        file: 'src/node/intake.ts',
        from: 'if (delta.header.space !== space.id) {',
        to: 'if (delta.header.space.length !== space.id.length) {'
      },
      {
        file: 'src/trust/admit.ts',
        from: 'if (header.space !== facts.space) {',
        to: 'if (header.space.length !== facts.space.length) {'
      }
    ],
    scenario: 'byzantine-third',
    liars: ['replayer', 'replayer']
  },
  {
    name: 'forwards-forgeries',
    breaks: 'a frame with a forged delta is forwarded, and blame falls on whoever forwards it',
    edits: one(
      'src/node/intake.ts',
      "detail: invalid.detail })\n      return 'reject'",
      "detail: invalid.detail })\n      return 'accept'"
    ),
    scenario: 'byzantine-third',
    liars: ['bad-signature', 'bad-signature']
  }
]

const STORE: readonly Mutant[] = [
  {
    name: 'acknowledged-before-stored',
    breaks: 'a write is acknowledged before it is on disk',
    edits: one(
      'src/node/writer.ts',
      '      await persist(group, this.#ports.store, { durable: this.#durable })\n',
      '      for (const { item, outcome } of outcomes) settle(item, outcome)\n      await persist(group, this.#ports.store, { durable: this.#durable })\n'
    ),
    scenario: 'slow-disk'
  },
  {
    name: 'never-synced',
    breaks: 'own writes are not synced, so a power cut takes acknowledged ones',
    edits: one(
      'src/node/perform.ts',
      '{ durable: group.durable && options.durable }',
      '{ durable: group.durable && options.durable && group.admitted.length > 1_000 }'
    ),
    scenario: 'crash-restart'
  },
  {
    name: 'own-head-forgotten',
    breaks: 'after a clean restart numbers begin at 0 again under the same epoch',
    edits: one(
      'src/sync/replica.ts',
      '    if (author === this.author && epoch === this.#epoch) this.#own = { seq, id }\n',
      ''
    ),
    scenario: 'churn'
  },
  {
    name: 'epoch-kept',
    breaks: 'a daemon that cannot prove its log complete goes on under its old epoch',
    edits: one(
      'src/node/engine.ts',
      '=== false || rebuilt) this.#drawEpoch()',
      '=== false && rebuilt) this.#drawEpoch()'
    ),
    scenario: 'crash-restart'
  },
  {
    name: 'positions-restart',
    breaks: 'after a start the arrival log is written over from its beginning',
    edits: one(
      'src/node/engine.ts',
      '    this.writer.restoreArrival(position)\n',
      '    this.writer.restoreArrival(0 * position)\n'
    ),
    scenario: 'crash-restart'
  },
  {
    name: 'heads-not-stored',
    breaks: 'causal heads are not written down',
    edits: one(
      'src/node/perform.ts',
      'value: encodeHeads(space.replica.headTimes()) })',
      'value: encodeHeads(space.replica.headTimes().slice(1)) })'
    ),
    scenario: 'calm'
  },
  {
    name: 'fetched-not-indexed',
    breaks: 'what sessions brought is never found by a search',
    edits: one(
      'src/node/tell.ts',
      "      if (via === 'recon') indexer.note(space, id)\n      else indexer",
      "      if (via !== 'recon') indexer"
    ),
    scenario: 'lossy'
  }
]

const REPAIR: readonly Mutant[] = [
  {
    name: 'no-anti-entropy',
    breaks: 'no session is ever opened or answered',
    edits: one(
      'src/node/reconciliation.ts',
      '    if (!this.#options.reconcile) return\n',
      '    if (this.#options !== undefined) return\n'
    ),
    scenario: 'lossy'
  },
  {
    name: 'equal-by-count',
    breaks: 'sets of one size pass for one set',
    edits: one(
      'src/sync/reconciler.ts',
      '    if (equalBytes(root, hello.root)) {',
      '    if (equalBytes(root, hello.root) || hello.count === ledger.ownCount) {'
    ),
    scenario: 'partition-heals'
  },
  {
    name: 'always-settling',
    breaks: 'differences are left to gossip for an hour instead of two seconds',
    edits: one(
      'src/sync/recon-session.ts',
      'export const SETTLING_MS = 2_000',
      'export const SETTLING_MS = 10_000_000'
    ),
    scenario: 'lossy'
  },
  {
    name: 'fetched-dropped',
    breaks: 'what an own session fetches is dropped; sessions of others, which hand over, make up for it',
    edits: one(
      'src/node/sessions.ts',
      'deliver: (records) => intake.deliver(space, records, peer)',
      'deliver: (records) => Promise.resolve({ accepted: 0, known: intake === undefined ? 0 : records.length, refused: 0 })'
    ),
    scenario: 'pull-only.toml',
    hiddenIn: 'both-ways.toml'
  },
  {
    name: 'handed-over-dropped',
    breaks: 'what others hand over in their sessions is dropped; own sessions, which fetch, make up for it',
    edits: one(
      'src/node/sessions.ts',
      ': intake.deliver(served.space, records, peer)',
      ': Promise.resolve({ accepted: 0, known: intake === undefined ? 0 : records.length, refused: 0 })'
    ),
    scenario: 'push-only.toml',
    hiddenIn: 'both-ways.toml'
  }
]

const TRUST: readonly Mutant[] = [
  {
    name: 'proof-not-stored',
    breaks: 'a double signer is convicted in memory only',
    edits: one(
      'src/node/perform.ts',
      "        group.writes.push({\n          table: 'proof',",
      "        if (group.durable) group.writes.push({\n          table: 'proof',"
    ),
    scenario: 'byzantine-third',
    liars: ['rollback-clone', 'equivocator']
  },
  {
    name: 'rivals-not-looked-up',
    breaks: 'a twin is noticed only while the first is still in memory',
    edits: one(
      'src/node/writer.ts',
      'return head === undefined ? space.replica.chainCount >= LIMITS.authorHeadsMax : seq <= head.seq',
      'return head === undefined ? space.replica.chainCount >= LIMITS.authorHeadsMax : seq < 0'
    ),
    scenario: 'crash-restart',
    liars: ['rollback-clone', 'rollback-clone']
  },
  {
    name: 'anybody-votes',
    breaks: 'votes count whoever gave them',
    edits: one(
      'src/trust/ballot.ts',
      'if (!roster.has(vote.voter) || ballot.equivocators.has(vote.voter)) {',
      'if (ballot.equivocators.has(vote.voter)) {'
    ),
    scenario: 'byzantine-third',
    liars: ['vote-stuffer', 'vote-stuffer']
  },
  {
    name: 'quorum-of-half',
    breaks: 'half of the roster is a quorum',
    edits: one('src/trust/ballot.ts', 'part * 3 > whole * 2', 'part * 2 > whole'),
    scenario: 'byzantine-third',
    liars: ['vote-stuffer', 'vote-stuffer']
  },
  {
    name: 'median-unsorted',
    breaks: 'the median is taken of votes in the order of their voters',
    edits: one('src/trust/statistics.ts', 'return values.toSorted((a, b) => a - b)', 'return [...values]'),
    scenario: 'byzantine-third',
    liars: ['vote-stuffer', 'vote-stuffer']
  }
]

export const MUTANTS: readonly Mutant[] = [...MERGE, ...TIME, ...FORGERY, ...STORE, ...REPAIR, ...TRUST]
