/** Child process of home-unwritable.test.ts: makes or opens a home and prints the outcome as one line of JSON. */
import '../../../src/polyfill.ts'
import { ChrysalisError } from '../../../src/base/errors.ts'
import { SeededRandom } from '../../../src/base/prng.ts'
import { initHome, openHome } from '../../../src/daemon/home.ts'

const [verb, home] = process.argv.slice(2)
if (home === undefined) throw new Error('usage: home-child.ts init|open HOME')
try {
  const report =
    verb === 'init'
      ? await initHome({ home }, { random: new SeededRandom(home), nowMs: 1 })
      : { created: (await openHome(home)).peer === '' }
  console.log(JSON.stringify({ report }))
} catch (error) {
  if (!(error instanceof ChrysalisError)) throw error
  console.log(JSON.stringify({ code: error.code, message: error.message, hint: error.hint }))
}
