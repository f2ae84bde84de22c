/**
 * Power cuts (disk-image.ts) with the daemon itself as the writer: its home is on the disk that loses power, the book of
 * acknowledged writes is not. Each image is a new disk; afterwards a daemon must open what is left of it and hold every
 * write that was acknowledged before the cut.
 *
 * A few more disks are cut under a daemon that was told not to sync (`store.durability = relaxed`). They must lose
 * something: were nothing lost there either, this harness could not see a loss.
 */
import path from 'node:path'
import { messageOf } from '../../src/base/errors.ts'
import { SeededRandom } from '../../src/base/prng.ts'
import { withYard, type StartOptions, type Yard } from '../support/daemons.ts'
import { Acknowledged } from './acknowledged.ts'
import { createDisk, cutPower, removeDisk, supported, withDiskAfterCut } from './disk-image.ts'
import { unusualReasons } from './reasons.ts'
import { table } from './table.ts'
import { judge, skipped, tooFewAcks, type ChaosOptions, type Verdict } from './verdict.ts'

const DISK_BYTES = 128 * 1_024 * 1_024
const WRITERS = 2
const IN_FLIGHT = 16
/** From the first write to the cut. */
const CUT_MS_MIN = 200
const CUT_MS_MAX = 1_400
/** Disks under a daemon that does not sync: until one has lost something, at most so many. */
const RELAXED_IMAGES_MAX = 5

type Durability = 'fsync' | 'relaxed'

interface Image {
  readonly durability: Durability
  readonly cutMs: number
  readonly acknowledged: number
  readonly lost: number
  readonly wrong: number
  /** What the daemon said about it afterwards. */
  readonly told: number
  /** Why the database did not open, or could not be read. */
  readonly failure?: string
}

export async function power(options: ChaosOptions): Promise<Verdict> {
  const impossible = supported() ?? (await mountable())
  if (impossible !== undefined) return skipped(impossible)
  const { loops, say, seed = `power/${Date.now()}` } = options
  return withYard('power', async (yard) => {
    say(`seed ${seed}`)
    const random = new SeededRandom(seed)
    const images: Image[] = []
    const oneMore = async (durability: Durability): Promise<Image> => {
      const image = await oneImage(
        yard,
        images.length + 1,
        durability,
        CUT_MS_MIN + random.below(CUT_MS_MAX - CUT_MS_MIN)
      )
      images.push(image)
      say(`image ${images.length}: ${HEADINGS.map((heading, i) => `${heading} ${cells(image)[i]}`).join(', ')}`)
      return image
    }
    for (let n = 0; n < loops; n++) await oneMore('fsync')
    for (let n = 0; n < RELAXED_IMAGES_MAX; n++) {
      const { lost, failure } = await oneMore('relaxed')
      if (lost > 0 || failure !== undefined) break
    }
    for (const line of table(
      ['image', ...HEADINGS],
      images.map((image, n) => [n + 1, ...cells(image)])
    ))
      say(line)
    return verdictOf(images, options.acksMin)
  })
}

function verdictOf(images: readonly Image[], acksMin: number | undefined): Verdict {
  const synced = images.filter(({ durability }) => durability === 'fsync')
  const relaxed = images.filter(({ durability }) => durability === 'relaxed')
  const sum = (of: (image: Image) => number, over = synced): number =>
    over.reduce((total, image) => total + of(image), 0)
  const figures = {
    images: synced.length,
    acknowledged: sum(({ acknowledged }) => acknowledged),
    lost: sum(({ lost }) => lost),
    wrong: sum(({ wrong }) => wrong),
    'failed to open': sum(({ failure }) => (failure === undefined ? 0 : 1)),
    'images without sync': relaxed.length,
    'acknowledged there': sum(({ acknowledged }) => acknowledged, relaxed),
    'lost there, as it must be': sum(({ lost }) => lost, relaxed)
  }
  const breaches = [
    ...(figures.lost > 0 ? [`${figures.lost} acknowledged writes were lost`] : []),
    ...(figures.wrong > 0 ? [`${figures.wrong} acknowledged writes read differently`] : []),
    ...synced.flatMap(({ failure }, n) => (failure === undefined ? [] : [`image ${n + 1}: ${failure}`]))
  ]
  const uncut = synced.length === 0 ? 'no power was cut' : undefined
  const blind = figures['lost there, as it must be'] === 0 ? 'without sync nothing was lost either' : undefined
  return judge(figures, breaches, [tooFewAcks(figures.acknowledged, acksMin), uncut, blind])
}

const HEADINGS = ['durability', 'cut after ms', 'acks', 'lost', 'wrong', 'opened', 'reasons told']

function cells({ durability, cutMs, acknowledged, lost, wrong, told, failure }: Image): (string | number)[] {
  return [durability, cutMs, acknowledged, lost, wrong, failure === undefined ? 'yes' : `NO: ${failure}`, told]
}

async function oneImage(yard: Yard, n: number, durability: Durability, cutMs: number): Promise<Image> {
  const options: StartOptions = { set: { 'store.durability': durability } }
  const disk = await createDisk(DISK_BYTES)
  const book = new Acknowledged(path.join(yard.root, `acknowledged-${n}`))
  try {
    const home = await yard.newHome('power', disk.mountPoint)
    const daemon = await yard.start(home, options)
    const clients = await Promise.all(Array.from({ length: WRITERS }, () => daemon.connect()))
    const writing = Promise.all(clients.map((client) => book.write(client, IN_FLIGHT)))
    await new Promise((resolve) => setTimeout(resolve, cutMs))
    const copy = await cutPower(disk, daemon.child)
    // Answers that were under way when the power went are acknowledgements too: they left a daemon that had synced.
    await daemon.ended()
    await writing
    return await withDiskAfterCut(copy, async (mountPoint) => {
      const acknowledged = book.count
      try {
        const again = await yard.start(path.join(mountPoint, path.basename(home)), options)
        const { lost, wrong, partial, unverified, refused } = await book.check(again.client, 'all')
        const told = unusualReasons(await again.client.status()).length
        await again.stop()
        const gone = lost.length + partial.length + refused.length + unverified.length
        return { durability, cutMs, acknowledged, lost: gone, wrong: wrong.length, told }
      } catch (error) {
        // Nothing on this disk may keep it from being unmounted.
        await yard.killAll()
        return { durability, cutMs, acknowledged, lost: acknowledged, wrong: 0, told: 0, failure: messageOf(error) }
      }
    })
  } finally {
    await yard.killAll()
    book.close()
    await removeDisk(disk)
  }
}

/** Whether a disk can be mounted here at all: root in a container often may not. */
async function mountable(): Promise<string | undefined> {
  try {
    await removeDisk(await createDisk(DISK_BYTES))
    return undefined
  } catch (error) {
    return `a disk image cannot be mounted here: ${messageOf(error)}`
  }
}
