/**
 * Power cuts (disk-image.ts) with the daemon itself as the writer: its home is on the disk that loses power, the book of
 * acknowledged writes is not. Each image is a new disk; afterwards a daemon must open what is left of it and hold every
 * write that was acknowledged before the cut.
 */
import path from 'node:path'
import { messageOf } from '../../src/base/errors.ts'
import { SeededRandom } from '../../src/base/prng.ts'
import { withYard, type Yard } from '../support/daemons.ts'
import { Acknowledged } from './acknowledged.ts'
import { createDisk, cutPower, removeDisk, supported, withDiskAfterCut } from './disk-image.ts'
import { judge, tooFewAcks, type ChaosOptions, type Verdict } from './verdict.ts'

const DISK_BYTES = 128 * 1_024 * 1_024
const WRITERS = 2
const IN_FLIGHT = 16
/** From the first write to the cut. */
const CUT_MS_MIN = 200
const CUT_MS_MAX = 1_400

interface Image {
  readonly acknowledged: number
  readonly lost: number
  readonly wrong: number
  /** Why the database did not open, or could not be read. */
  readonly failure?: string
}

export async function power(options: ChaosOptions): Promise<Verdict> {
  const impossible = supported() ?? (await mountable())
  if (impossible !== undefined) return { ending: 'SKIPPED', reasons: [impossible], figures: {} }
  return withYard('power', async (yard) => {
    const random = new SeededRandom(`power/${Date.now()}`)
    const images: Image[] = []
    for (let n = 1; n <= options.loops; n++) {
      const image = await oneImage(yard, n, CUT_MS_MIN + random.below(CUT_MS_MAX - CUT_MS_MIN))
      images.push(image)
      const { acknowledged, lost, failure } = image
      options.say(
        `image ${n}: ${acknowledged} acknowledged, ${lost} lost${failure === undefined ? '' : `, ${failure}`}`
      )
    }
    const sum = (of: (image: Image) => number): number => images.reduce((total, image) => total + of(image), 0)
    const figures = {
      images: images.length,
      acknowledged: sum((image) => image.acknowledged),
      lost: sum((image) => image.lost),
      wrong: sum((image) => image.wrong),
      'failed to open': sum((image) => (image.failure === undefined ? 0 : 1))
    }
    const breaches = [
      ...(figures.lost > 0 ? [`${figures.lost} acknowledged writes were lost`] : []),
      ...(figures.wrong > 0 ? [`${figures.wrong} acknowledged writes read differently`] : []),
      ...images.flatMap(({ failure }, n) => (failure === undefined ? [] : [`image ${n + 1}: ${failure}`]))
    ]
    const uncut = images.length === 0 ? 'no power was cut' : undefined
    return judge(figures, breaches, [tooFewAcks(figures.acknowledged, options.acksMin), uncut])
  })
}

async function oneImage(yard: Yard, n: number, cutMs: number): Promise<Image> {
  const disk = await createDisk(DISK_BYTES)
  const book = new Acknowledged(path.join(yard.root, `acknowledged-${n}`))
  try {
    const home = await yard.newHome('power', disk.mountPoint)
    const daemon = await yard.start(home)
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
        const again = await yard.start(path.join(mountPoint, path.basename(home)))
        const { lost, wrong, unverified, refused } = await book.check(again.client, 'all')
        await again.stop()
        return { acknowledged, lost: lost.length + refused.length + unverified.length, wrong: wrong.length }
      } catch (error) {
        // Nothing on this disk may keep it from being unmounted.
        await yard.killAll()
        return { acknowledged, lost: acknowledged, wrong: 0, failure: messageOf(error) }
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
