/**
 * File systems mounted for a run. Each is unmounted when the process ends, however it ends: a mount left behind outlives
 * the test, and the folder above it cannot be removed.
 */
import { execFile, spawnSync } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

const mounted = new Set<string>()

function unmountAll(): void {
  // The newest first, for one may lie inside another. Lazily: a daemon may still be dying.
  for (const mountPoint of [...mounted].reverse()) spawnSync('umount', ['-l', mountPoint], { stdio: 'ignore' })
  mounted.clear()
}

/** `mount` with these arguments, the last of which is the mount point. */
export async function mount(parameters: readonly string[]): Promise<void> {
  const mountPoint = parameters.at(-1) ?? ''
  await run('mount', [...parameters])
  // Before the other listeners: they remove the folders.
  if (mounted.size === 0) process.prependListener('exit', unmountAll)
  mounted.add(mountPoint)
}

/** Lazily as a last resort, when something still holds it. */
export async function unmount(mountPoint: string): Promise<void> {
  try {
    await run('umount', [mountPoint])
  } catch {
    await run('umount', ['-l', mountPoint])
  }
  mounted.delete(mountPoint)
  if (mounted.size === 0) process.off('exit', unmountAll)
}
