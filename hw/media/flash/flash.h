/* flash.h: the medium "flash": channels, dies and planes behind a page-mapped
 * translation layer. docs/storage-flash.md describes the model. */
#ifndef STILLSUIT_HW_MEDIA_FLASH_FLASH_H
#define STILLSUIT_HW_MEDIA_FLASH_FLASH_H

#include "hw/media/media.h"

extern const struct media_ops flash_media_ops;

#endif
