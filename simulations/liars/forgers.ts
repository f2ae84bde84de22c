/**
 * Deltas that were not signed by whom they name, in every way there is: no signature, an altered one, somebody else's,
 * another body under a sound header, another space; and those for which verifiers in the field disagree, made with keys
 * of small order, under which anybody can sign anything, and of mixed order, where the answer depends on the message.
 *
 * The arithmetic is as little as it takes: adding the point of order two, (0, -1), to (x, y) gives (-x, -y), and a sound
 * key pair of a throw-away seed serves as nonce.
 */
import { createHash } from 'node:crypto'
import { createCrypto } from '../../src/adapters/system/crypto.ts'
import { concatBytes, fromHex, toHex, type Bytes } from '../../src/base/bytes.ts'
import { encodeDelta } from '../../src/memory/delta-codec.ts'
import type { DeltaHeader } from '../../src/memory/delta.ts'
import { fingerprintOf, signedMessage } from '../../src/memory/fingerprint.ts'
import { hlcOf } from '../../src/memory/ids.ts'
import type { Random } from '../../src/ports/random.ts'
import { Actor, hasher, type Stage } from './actor.ts'
import { Hoard } from './hoard.ts'
import { forge, meddle, note } from './pen.ts'

const SIGNATURE_BYTES = 64

export class BadSigner extends Actor {
  readonly kind = 'bad-signature'

  protected async act(stage: Stage): Promise<void> {
    const record = this.#forgery(stage)
    // Sessions are judged apart from gossip: both have to refuse it.
    const peer = stage.random.unit() < 0.5 ? this.somePeer(stage) : undefined
    if (peer === undefined) return this.gossip(stage, [record])
    const hoard = new Hoard(stage.outsider.space.id, hasher)
    hoard.add(record)
    await this.meet(stage, peer, hoard)
  }

  #forgery(stage: Stage): Bytes {
    const { random, pen, outsider } = stage
    const nowMs = outsider.clock.nowMs()
    const own = pen.write(note(`forged by ${outsider.name}`), nowMs)
    const victim = this.heard[random.below(Math.max(1, this.heard.length))]
    switch (random.below(victim === undefined ? 3 : 6)) {
      case 0:
        return encodeDelta({ ...own, signature: new Uint8Array(SIGNATURE_BYTES) })
      case 1:
        return encodeDelta({ ...own, signature: flipped(own.signature, random) })
      case 2:
        // Sound, but for the body: as many other words under the name of what was signed.
        return forge({ ...own.header }, note(`forgot by ${outsider.name}`), hasher, () => own.signature)
      case 3:
        return encodeDelta({ ...(victim ?? own), signature: flipped((victim ?? own).signature, random) })
      default:
        return this.#inTheNameOf(victim?.header ?? own.header, stage)
    }
  }

  /** Another's author, epoch and number, and its own signature: it must convict nobody. */
  #inTheNameOf({ author, epoch, seq, prev }: DeltaHeader, stage: Stage): Bytes {
    const { outsider, pen } = stage
    const id = this.someRecord(stage)
    const text = `said in another's name by ${outsider.name}`
    const header = {
      version: 1,
      space: outsider.space.id,
      author,
      epoch,
      seq,
      prev,
      hlc: hlcOf(outsider.clock.nowMs()),
      parents: [],
      flags: 0
    } as const
    return forge(header, id === undefined ? note(text) : meddle(id, text), hasher, (headerBytes) =>
      pen.crypto.sign(signedMessage(fingerprintOf(hasher, headerBytes)))
    )
  }
}

function flipped(bytes: Bytes, random: Random): Bytes {
  const copy = bytes.slice()
  const at = random.below(copy.length)
  copy[at] = (copy[at] as number) ^ (1 << random.below(8))
  return copy
}

// --- keys on which verifiers disagree

/** Ed25519: the prime of the field, and the order of the group. */
const PRIME = 2n ** 255n - 19n
const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n
const IDENTITY = fromHex(`01${'00'.repeat(31)}`)

/** Canonical encodings of points of order 1, 2, 4 and 8. */
const SMALL_ORDER: readonly Bytes[] = [
  `01${'00'.repeat(31)}`,
  `ec${'ff'.repeat(30)}7f`,
  '00'.repeat(32),
  `${'00'.repeat(31)}80`,
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05'
].map(fromHex)

/** A careless verifier accepts one message in two, four or eight: it is tried this often. */
const ATTEMPTS = 40

interface Signing {
  readonly publicKey: Bytes
  sign(message: Bytes): Bytes
}

/** Zero times anything, and the identity as nonce: the equation holds whenever the hash makes the key vanish. */
function smallOrder(random: Random): Signing {
  const publicKey = SMALL_ORDER[random.below(SMALL_ORDER.length)] as Bytes
  return { publicKey, sign: () => concatBytes(IDENTITY, new Uint8Array(32)) }
}

/** A sound key plus the point of order two. */
export function mixedOrder(random: Random): Signing {
  const [seed, nonceSeed] = [random.bytes(32), random.bytes(32)]
  const publicKey = plusOrderTwo(createCrypto(seed).publicKey)
  const nonce = createCrypto(nonceSeed).publicKey
  return {
    publicKey,
    sign: (message) => {
      const challenge = littleEndian(sha512(concatBytes(nonce, publicKey, message))) % ORDER
      return concatBytes(nonce, scalarBytes((scalarOf(nonceSeed) + challenge * scalarOf(seed)) % ORDER))
    }
  }
}

function plusOrderTwo(point: Bytes): Bytes {
  const sign = (point[31] as number) >> 7
  const y = littleEndian(point) & (2n ** 255n - 1n)
  const moved = scalarBytes(PRIME - y)
  moved[31] = (moved[31] as number) | ((1 - sign) << 7)
  return moved
}

/** The secret scalar of a seed (RFC 8032 §5.1.5). */
function scalarOf(seed: Bytes): bigint {
  const digest = sha512(seed).subarray(0, 32)
  digest[0] = (digest[0] as number) & 248
  digest[31] = ((digest[31] as number) & 63) | 64
  return littleEndian(digest)
}

function sha512(bytes: Bytes): Bytes {
  return new Uint8Array(createHash('sha512').update(bytes).digest())
}

function littleEndian(bytes: Bytes): bigint {
  return BigInt(`0x${toHex(bytes.slice().reverse())}`)
}

function scalarBytes(scalar: bigint): Bytes {
  return fromHex(scalar.toString(16).padStart(64, '0')).reverse()
}

/** The first record of such a key, one that the platform's own verifier takes for sound, if one is found. */
export function carelesslySound(
  signing: Signing,
  { space, epoch, hlc }: Pick<DeltaHeader, 'space' | 'epoch' | 'hlc'>,
  text: string
): Bytes | undefined {
  const author = toHex(signing.publicKey)
  const header = { version: 1, space, author, epoch, seq: 0, prev: null, hlc, parents: [], flags: 0 } as const
  for (let i = 0; i < ATTEMPTS; i++) {
    let holds = false
    const record = forge(header, note(`${text}, attempt ${i}`), hasher, (headerBytes) => {
      const message = signedMessage(fingerprintOf(hasher, headerBytes))
      const signature = signing.sign(message)
      holds = hasher.verify({ publicKey: signing.publicKey, message, signature })
      return signature
    })
    if (holds) return record
  }
  return undefined
}

export class MixedOrderSigner extends Actor {
  readonly kind = 'mixed-order-key'
  #written = 0

  protected async act(stage: Stage): Promise<void> {
    const { random, outsider } = stage
    const signing = random.unit() < 0.5 ? smallOrder(random) : mixedOrder(random)
    const place = { space: outsider.space.id, epoch: toHex(random.bytes(8)), hlc: hlcOf(outsider.clock.nowMs()) }
    const record = carelesslySound(signing, place, `weak words ${this.#written++} of ${outsider.name}`)
    if (record === undefined) return
    const peer = random.unit() < 0.5 ? this.somePeer(stage) : undefined
    if (peer === undefined) return this.gossip(stage, [record])
    const hoard = new Hoard(outsider.space.id, hasher)
    hoard.add(record)
    await this.meet(stage, peer, hoard)
  }
}
