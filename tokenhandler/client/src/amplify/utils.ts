export { Hub, type HubCapsule } from './hub'
