"""Writers: from chunks of RGB frames to files, images and addresses."""
