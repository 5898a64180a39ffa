import CLinux
import Contracts
import Glibc
import LinuxSystem

/// Opens the directory that the command starts in, and makes sure that it lies in the project tree.
///
/// By openat2 with RESOLVE_BENEATH: no link, `..` or rename on the way can lead out of the tree, and what has been
/// opened is what the child enters.
func openWorkingDirectory(_ request: JailRequest) throws(JailFailure) -> Descriptor {
    let root = cjail_open_straight(request.project)
    guard root >= 0 else {
        throw JailFailure(
            .files, SystemError("--project", code: -root, subject: request.project),
            "make the folder, or give the right one")
    }
    let project = Descriptor(adopting: root)
    guard let wanted = request.workingDirectory else { return project }

    let outside = "the working directory must lie in the project tree \(request.project)"
    let slash = UInt8(ascii: "/")
    let parts = wanted.utf8.split(separator: slash)
    let base = request.project.utf8.split(separator: slash)
    guard parts.starts(with: base, by: { $0.elementsEqual($1) }) else {
        throw JailFailure(.directory, "--cwd \(wanted): \(outside)")
    }
    let relative = parts.dropFirst(base.count).map { String(Substring($0)) }.joined(separator: "/")
    let result = cjail_open_folder_beneath(project.number, relative.isEmpty ? "." : relative)
    guard result >= 0 else {
        let error = SystemError("--cwd", code: -result, subject: wanted)
        // EXDEV is openat2's word for a way that leads out.
        throw JailFailure(.directory, error, -result == EXDEV ? outside : "give an existing folder")
    }
    return Descriptor(adopting: result)
}
