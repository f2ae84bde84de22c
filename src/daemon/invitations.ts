/**
 * Letting others in. A ticket carries the network key, so whoever has it can connect; what the issuer keeps is the
 * count of daemons that used it and the date. A newcomer tells the issuer which ticket it came with, over
 * /chrysalis/join/1, and is answered yes or no; one that is refused is disconnected and held to be broken.
 *
 * What this cannot do is take back the key of a network: a ticket passed on in secret lets its reader decrypt until
 * the network key is changed. The README says so.
 */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { writeFileAtomic } from '../adapters/system/atomic-file.ts'
import { systemRandom } from '../adapters/system/random.ts'
import { fromHex, toHex, utf8 } from '../base/bytes.ts'
import { ChrysalisError, messageOf } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { authorToPeerId } from '../base/peer-id.ts'
import { decodeCanonical, encodeCanonical } from '../memory/codec.ts'
import type { Clock } from '../ports/clock.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { Logger } from '../ports/logger.ts'
import type { Channel, Network, PeerId } from '../ports/network.ts'
import { encodeTicket } from '../trust/ticket.ts'
import type { HomeSpace } from './home-files.ts'
import type { OpenHome } from './home.ts'

export const JOIN_PROTOCOL = '/chrysalis/join/1'

const ANSWERS = ['welcome', 'unknown', 'expired', 'used-up'] as const
type Answer = (typeof ANSWERS)[number]

interface Issued {
  readonly nonce: string
  readonly space: string
  readonly expiresMs: number
  /** 0 for no bound. */
  readonly uses: number
  /** Peer ids let in. */
  readonly usedBy: string[]
}

/** [version, nonce, space] is 50 bytes and a little. */
const REQUEST_BYTES_MAX = 128

export class Invitations {
  readonly #home: OpenHome
  readonly #ports: { network: Network; crypto: Crypto; clock: Clock; logger: Logger }
  readonly #file: string
  readonly #refused = new Map<string, Answer>()
  readonly #redeemed = new Set<string>()
  #issued: Issued[] = []
  #writing: Promise<void> = Promise.resolve()

  constructor(home: OpenHome, ports: { network: Network; crypto: Crypto; clock: Clock; logger: Logger }) {
    this.#home = home
    this.#ports = ports
    this.#file = path.join(home.paths.home, 'invites.json')
  }

  /** Serves newcomers and redeems the tickets this home came in with. Before the network starts. */
  start(): void {
    const { network, logger } = this.#ports
    const loading = this.#load()
    network.serve(JOIN_PROTOCOL, async (channel) => {
      await loading
      await this.#answer(channel)
    })
    network.onEvent((event) => {
      if (event.type !== 'peer-connected') return
      for (const space of this.#home.spaces) {
        if (space.redeem === undefined || authorToPeerId(space.redeem.issuer) !== event.peer) continue
        this.#redeem(space, event.peer).catch((error: unknown) => {
          logger.log('debug', 'a ticket could not be redeemed yet', { error: messageOf(error) })
        })
      }
    })
  }

  notices(): string[] {
    return [...this.#refused].map(
      ([space, answer]) => `the daemon that invited us to ${space} refused the ticket: ${answer}`
    )
  }

  async #load(): Promise<void> {
    if (!existsSync(this.#file)) return
    try {
      const parsed = JSON.parse(await readFile(this.#file, 'utf8')) as { issued: Issued[] }
      this.#issued = parsed.issued
    } catch (error) {
      this.#ports.logger.log('warn', 'issued tickets cannot be read; all are treated as unknown', {
        error: messageOf(error)
      })
    }
  }

  async issue(space: HomeSpace, options: { expiresMs: number; uses: number }): Promise<string> {
    const { network, crypto, clock } = this.#ports
    if (!space.shared) {
      throw new ChrysalisError('invalid_state', `the space ${space.name} is private and never leaves this daemon`, {
        hint: 'Invite to a shared space: chrysalis invite --space NAME.'
      })
    }
    const addresses = reachable(network.addresses()).slice(0, LIMITS.ticketAddressesMax)
    const nonce = toHex(systemRandom.bytes(16))
    const ticket = encodeTicket(
      { networkKey: this.#home.networkKey, genesis: space.genesis, addresses, nonce, ...options },
      crypto
    )
    const nowMs = clock.nowMs()
    this.#issued = this.#issued.filter((one) => one.expiresMs > nowMs).slice(-LIMITS.ticketsIssuedMax + 1)
    this.#issued.push({ nonce, space: space.id, ...options, usedBy: [] })
    await this.#save()
    return ticket
  }

  #save(): Promise<void> {
    this.#writing = this.#writing
      .catch(() => undefined)
      .then(() => writeFileAtomic(this.#file, utf8(`${JSON.stringify({ issued: this.#issued }, null, 2)}\n`), 0o600))
    return this.#writing
  }

  async #answer(channel: Channel): Promise<void> {
    const bytes = await channel.receive()
    const answer = bytes === undefined ? 'unknown' : await this.#judge(bytes, channel.peer)
    await channel.send(encodeCanonical([1, ANSWERS.indexOf(answer)]))
    await channel.close()
    if (answer === 'welcome') return
    this.#ports.logger.log('warn', 'a newcomer was refused', { peer: channel.peer, answer })
    this.#ports.network.report(channel.peer, 'protocol', `ticket ${answer}`)
    await this.#ports.network.disconnect(channel.peer)
  }

  async #judge(bytes: Uint8Array, peer: PeerId): Promise<Answer> {
    const decoded = decodeCanonical(bytes, { bytesMax: REQUEST_BYTES_MAX })
    if (!decoded.ok || !Array.isArray(decoded.value)) return 'unknown'
    const [, nonceBytes, spaceBytes] = decoded.value as unknown[]
    if (!(nonceBytes instanceof Uint8Array) || !(spaceBytes instanceof Uint8Array)) return 'unknown'
    const nonce = toHex(nonceBytes)
    const issued = this.#issued.find((one) => one.nonce === nonce && one.space === toHex(spaceBytes))
    if (issued === undefined) return 'unknown'
    // Whoever was let in once stays in: a daemon redeems its ticket at every start.
    if (issued.usedBy.includes(peer)) return 'welcome'
    if (issued.expiresMs <= this.#ports.clock.nowMs()) return 'expired'
    if (issued.uses > 0 && issued.usedBy.length >= issued.uses) return 'used-up'
    issued.usedBy.push(peer)
    await this.#save()
    return 'welcome'
  }

  async #redeem(space: HomeSpace, issuer: PeerId): Promise<void> {
    const { redeem } = space
    if (redeem === undefined || this.#redeemed.has(space.id)) return
    const channel = await this.#ports.network.open(issuer, JOIN_PROTOCOL)
    await channel.send(encodeCanonical([1, fromHex(redeem.nonce), fromHex(space.id)]))
    const bytes = await channel.receive()
    await channel.close()
    const decoded = bytes === undefined ? undefined : decodeCanonical(bytes, { bytesMax: REQUEST_BYTES_MAX })
    if (decoded?.ok !== true || !Array.isArray(decoded.value)) return
    const answer = ANSWERS[Number((decoded.value as unknown[])[1])]
    if (answer === 'welcome') {
      this.#redeemed.add(space.id)
      this.#refused.delete(space.name)
    } else if (answer !== undefined) {
      this.#refused.set(space.name, answer)
      this.#ports.logger.log('error', 'the ticket was refused by its issuer', { space: space.name, answer })
    }
  }
}

/** Addresses of this machine that another could dial: loopback only when there is nothing else. */
export function reachable(addresses: readonly string[]): string[] {
  const outward = addresses.filter((address) => !/^\/(ip4\/127\.|ip6\/::1\/)/.test(address))
  return outward.length > 0 ? outward : [...addresses]
}
