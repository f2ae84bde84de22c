/**
 * kill -9 against one data directory, over and over. Writers on several connections keep it busy; at a random moment the
 * process is killed, now and then while it is still starting; after each restart everything ever acknowledged must be
 * there. It says nothing about power: what the dead process had handed to the system survives it.
 */
import path from 'node:path'
import { SeededRandom } from '../../src/base/prng.ts'
import { withYard } from '../support/daemons.ts'
import { Acknowledged } from './acknowledged.ts'
import { judge, tooFewAcks, type ChaosOptions, type Verdict } from './verdict.ts'

const WRITERS = 4
const IN_FLIGHT = 8
/** From the first write to the kill. */
const KILL_MS_MIN = 20
const KILL_MS_MAX = 800
/** Every so often the kill hits a daemon that is not ready yet. */
const KILL_AT_START_EVERY = 8
const START_KILL_MS_MAX = 1_500
const SAY_EVERY = 10

export function kill(options: ChaosOptions): Promise<Verdict> {
  return withYard('kill', async (yard) => {
    const random = new SeededRandom(`kill/${Date.now()}`)
    const book = new Acknowledged(path.join(yard.root, 'acknowledged'))
    const home = await yard.newHome()
    const lost = new Set<string>()
    const wrong = new Set<string>()
    let kills = 0
    let killsAtStart = 0
    let answeredMsMax = 0
    let present = 0
    try {
      for (let loop = 1; loop <= options.loops; loop++) {
        if (loop % KILL_AT_START_EVERY === 0) {
          const early = yard.launch(home)
          await sleep(random.below(START_KILL_MS_MAX))
          await early.kill()
          killsAtStart++
        }
        const daemon = await yard.start(home)
        answeredMsMax = Math.max(answeredMsMax, daemon.answeredMs)
        const reading = await book.check(daemon.client, 'new')
        for (const id of [...reading.lost, ...reading.partial, ...reading.refused, ...reading.unverified]) lost.add(id)
        for (const id of reading.wrong) wrong.add(id)
        const clients = await Promise.all(Array.from({ length: WRITERS }, () => daemon.connect()))
        const writing = Promise.all(clients.map((client) => book.write(client, IN_FLIGHT)))
        await Promise.race([writing, sleep(KILL_MS_MIN + random.below(KILL_MS_MAX - KILL_MS_MIN))])
        const was = daemon.running
        await daemon.kill()
        await writing
        if (was) kills++
        if (loop % SAY_EVERY === 0 || loop === options.loops) {
          options.say(`${loop} kills, ${book.count} acknowledged, ${lost.size} lost, ${wrong.size} wrong`)
        }
      }
      const last = await yard.start(home)
      const reading = await book.check(last.client, 'all')
      for (const id of [...reading.lost, ...reading.partial, ...reading.refused, ...reading.unverified]) lost.add(id)
      for (const id of reading.wrong) wrong.add(id)
      ;({ present } = reading)
      const report = await last.client.call('memory.verify', {}, { timeoutMs: 600_000 })
      await last.stop()
      const recovered = present - (book.count - reading.lost.length)
      const figures = {
        kills,
        'kills while starting': killsAtStart,
        acknowledged: book.count,
        lost: lost.size,
        wrong: wrong.size,
        stable: book.count - lost.size,
        'never acknowledged, recovered': recovered,
        'never acknowledged, never read': book.attempts - book.count - recovered,
        'signatures checked at the end': report.checked,
        'signatures invalid': report.invalid.length,
        'longest start to first answer, ms': Math.round(answeredMsMax)
      }
      const breaches = [
        ...(lost.size > 0 ? [`${lost.size} acknowledged writes were lost`] : []),
        ...(wrong.size > 0 ? [`${wrong.size} acknowledged writes read differently`] : []),
        ...(report.invalid.length > 0 ? [`${report.invalid.length} stored deltas do not verify`] : [])
      ]
      const unhurt = kills === 0 ? 'no process was killed while it ran' : undefined
      return judge(figures, breaches, [tooFewAcks(book.count, options.acksMin), unhurt])
    } finally {
      book.close()
    }
  })
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
