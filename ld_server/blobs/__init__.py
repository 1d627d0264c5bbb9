"""Where attachments are kept: files on a disk, or objects behind S3."""
