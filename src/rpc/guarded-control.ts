/** The daemon itself as one identity may use it: what stops it, lets others in or tells how it is set up. */
import type { Control } from './control.ts'
import { permit, type Identity } from './identity.ts'

export function guardControl(control: Control, identity: Identity): Control {
  const admin = (what: string): Control => {
    permit(identity, 'admin', what)
    return control
  }
  return {
    stop: () => admin('node.stop').stop(),
    invite: async (request) => admin('space.invite').invite(request),
    join: async (request) => admin('space.join').join(request),
    configuration() {
      // It names spaces, peers and paths: for readers without bounds only.
      permit(identity, identity.spaces === null ? 'read' : 'admin', 'config.get')
      return control.configuration()
    },
    get tokens() {
      return admin('token').tokens
    }
  }
}
